"""Detection heads: the network ends before them, and what is needed to decode them goes into the model's metadata.

Redmon and Farhadi, "YOLO9000", CVPR 2017, section 2 (region), and "YOLOv3: An Incremental Improvement", 2018 (yolo).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoestring.importers.darknet.cfg import Section
    from shoestring.importers.darknet.graph import Builder, Value
    from shoestring.importers.darknet.weights import Weights

YOLO_KEY = "shoestring.yolo"
_FORM = 1
_BOX = 5  # x, y, width, height and whether there is anything
_MAX_CLASSES = 100_000
_MAX_ANCHORS = 1_000


def yolo(build: Builder, section: Section, x: Value, _name: str, _: Weights) -> None:
    """Output yolo_0, yolo_1 ...: (N, anchors * (5 + classes), rows, columns), as the last convolution gives it."""
    total = section.integer("num", 1, 1, _MAX_ANCHORS)
    anchors = _pairs(section, total)
    mask = section.integers("mask", tuple(range(total)))
    if not mask or any(not 0 <= index < total for index in mask):
        raise section.wrong(f"mask={','.join(map(str, mask))} names anchors outside 0..{total - 1}")
    head = {
        "kind": "yolo",
        "mask": list(mask),
        "anchors": [anchors[index] for index in mask],
        "scale_x_y": section.number("scale_x_y", 1.0),
        "new_coords": section.integer("new_coords", 0, 0, 1),
    }
    _end(build, section, x, head, len(mask))


def region(build: Builder, section: Section, x: Value, _name: str, _: Weights) -> None:
    """Output region_0 ...: like yolo, with anchors in cells instead of pixels and classes under one softmax."""
    total = section.integer("num", 1, 1, _MAX_ANCHORS)
    if section.integer("coords", 4) != _BOX - 1:
        raise section.wrong("only coords=4 is supported")
    head = {"kind": "region", "anchors": _pairs(section, total), "softmax": section.integer("softmax", 0, 0, 1)}
    _end(build, section, x, head, total)


def _end(build: Builder, section: Section, x: Value, head: dict[str, Any], count: int) -> None:
    classes = section.integer("classes", 20, 1, _MAX_CLASSES)
    wanted = count * (_BOX + classes)
    if x.channels != wanted or x.flat:
        raise section.wrong(
            f"{count} anchors and {classes} classes need {wanted} channels; the layer before gives {x.size}",
            hint="filters= of the convolution before it must be anchors * (classes + 5)",
        )
    strides = (build.input.width / x.width, build.input.height / x.height)
    if strides[0] != strides[1] or strides[0] != int(strides[0]):
        raise section.wrong(
            f"its grid of {x.width} x {x.height} does not divide the input of {build.input.width} x "
            f"{build.input.height}",
            hint="give [net] a width and height that are multiples of 32",
        )
    number = sum(one["kind"] == head["kind"] for one in build.heads)
    name = f"{head['kind']}_{number}"
    build.output(x, name)
    build.heads.append({"output": name, "classes": classes, "stride": int(strides[0]), **head})


def _pairs(section: Section, total: int) -> list[list[float]]:
    numbers = section.numbers("anchors")
    if len(numbers) < 2 * total or min(numbers) <= 0:
        raise section.wrong(f"num={total} anchors need {2 * total} numbers above 0, anchors= has {len(numbers)}")
    return [[numbers[2 * i], numbers[2 * i + 1]] for i in range(total)]


def metadata(build: Builder) -> dict[str, str]:
    """What decoding needs, as one JSON text under YOLO_KEY; nothing when the network has no head."""
    if not build.heads:
        return {}
    image = {"width": build.input.width, "height": build.input.height, "channels": build.input.channels}
    content = {"form": _FORM, "input": image, "heads": build.heads}
    return {YOLO_KEY: json.dumps(content, sort_keys=True, separators=(",", ":"))}
