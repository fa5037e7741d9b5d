"""The caller's side of TensorFlow Lite: a child process opens the file."""

from __future__ import annotations

from pathlib import Path

from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.importers.sources import Ask, Translated, ask_child, walls

_CHILD = "shoestring.importers.tflite.child:translate"


def to_onnx(source: Path, target: Path, ask: Ask) -> Translated:
    """See `sources.Reader`.

    Raises:
        ModelError: what `child.translate` raises.
        MissingExtraError: the package with the published schema is not installed.
    """
    request: dict[str, object] = {"source": str(source.absolute()), "target": str(target.absolute())}
    request["shapes"] = {name: list(shape) for name, shape in ask.shapes.items()}
    told = ask_child(_CHILD, source, request, ask.limits, walls(ask, (source,), target))
    return canonical.convert(told.result, Translated, ModelError)
