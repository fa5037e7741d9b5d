"""The inside of the quarantine for Darknet: a .cfg and its .weights become one ONNX model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.darknet import heads
from shoestring.importers.darknet.cfg import Section, parse_cfg
from shoestring.importers.darknet.graph import INPUT, Builder, Value
from shoestring.importers.darknet.layers import LAYERS
from shoestring.importers.darknet.options import check_rest
from shoestring.importers.darknet.weights import Weights, read_weights
from shoestring.importers.written import read_limited, write_onnx

_MAX_PIXELS = 16_384  # a side
_MAX_CHANNELS = 4_096


def translate(request: dict[str, Any]) -> dict[str, Any]:
    """Read `source` and `weights` and write ONNX to `target`.

    Args:
        request: the three paths.

    Returns:
        `sha256` of both sources, one after the other, and `notes`.

    Raises:
        ModelError: a section, option or activation that we do not know, by its line; floats missing or left over.
        StorageError: `target` cannot be written.
    """
    cfg, data = read_limited(Path(request["source"])), read_limited(Path(request["weights"]))
    digest = hashlib.sha256(cfg)
    digest.update(data)
    weights = read_weights(data)
    build = convert(parse_cfg(cfg), weights)
    write_onnx(build.model(heads.metadata(build)), Path(request["target"]))
    notes = [
        f"read {weights.taken:,} floats for {len(build.layers)} layers from weights of Darknet {weights.version}",
        f"the input {INPUT!r} takes RGB pixels in 0..1, in the order N, channels, rows, columns",
        *build.notes,
    ]
    if build.heads:
        named = ", ".join(head["output"] for head in build.heads)
        notes.append(f"detection heads are raw, before decoding: {named}; anchors stand in the metadata")
    return {"sha256": digest.hexdigest(), "notes": notes}


def convert(sections: list[Section], weights: Weights) -> Builder:
    """Build the graph of all sections, and hold the weights to it, float by float."""
    build = Builder(_input(sections[0]))
    build.notes.extend(check_rest(sections[0]))
    x: Value | None = build.input
    for index, section in enumerate(sections[1:]):
        write = LAYERS.get(section.kind)
        if write is None:
            raise section.wrong("this kind of layer is not supported", hint=f"known are {', '.join(sorted(LAYERS))}")
        if x is None and section.kind != "route":
            raise section.wrong("it follows a detection head", hint="only [route] can go on from an earlier layer")
        x = write(build, section, x or build.input, f"{section.kind}_{index}", weights)
        build.layers.append(x)
        build.notes.extend(check_rest(section))
    weights.check_all_taken()
    if x is not None:
        if x is build.input:
            raise ModelError("the .cfg has no layer that computes anything", hint="is the file complete?")
        build.output(x, "output")
    return build


def _input(net: Section) -> Value:
    height, width = (net.integer(key, None, 1, _MAX_PIXELS) for key in ("height", "width"))
    channels = net.integer("channels", None, 1, _MAX_CHANNELS)
    return Value(INPUT, channels, height, width)
