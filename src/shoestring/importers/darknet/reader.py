"""The caller's side of Darknet: it finds the weights that belong to a .cfg and lets a child process open both."""

from __future__ import annotations

from pathlib import Path

from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.importers.sources import Ask, Translated, ask_child, walls

_CHILD = "shoestring.importers.darknet.child:translate"
_SUFFIX = ".weights"


def to_onnx(source: Path, target: Path, ask: Ask) -> Translated:
    """See `sources.Reader`. The weights are `ask.weights`, else the file beside `source` with the same stem.

    Raises:
        ModelError: no weights, or what `child.translate` raises.
    """
    weights = _weights(source, ask.weights)
    paths = {"source": source, "weights": weights, "target": target}
    request = {name: str(path.absolute()) for name, path in paths.items()}
    told = ask_child(_CHILD, source, request, ask.limits, walls(ask, (source, weights), target))
    return canonical.convert(told.result, Translated, ModelError)


def _weights(source: Path, given: Path | None) -> Path:
    path = source.with_suffix(_SUFFIX) if given is None else given
    if not path.is_file():
        where = "found beside it by its name" if given is None else "given"
        raise ModelError(
            f"{source} is a Darknet .cfg, and the weights {where}, {path}, are no file",
            hint=f"put {source.with_suffix(_SUFFIX).name} beside it, or give --weights FILE",
        )
    size_bytes = path.stat().st_size
    if size_bytes > MAX_MODEL_BYTES:
        raise ModelError(
            f"{path} has {format_bytes(size_bytes)}, more than the limit of {format_bytes(MAX_MODEL_BYTES)}",
            hint="a model of this size does not run on the boards we serve",
        )
    return path
