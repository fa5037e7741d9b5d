"""Darknet networks as text, and seeded .weights for them.

Layouts: yolov3.cfg, yolov3-tiny.cfg and darknet53.cfg of github.com/pjreddie/darknet (Redmon and Farhadi, "YOLOv3: An
Incremental Improvement", 2018, table 1), yolov4-tiny.cfg of github.com/AlexeyAB/darknet. Written by loops, without what
belongs to training.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

COCO_CLASSES = 80
YOLOV3_ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"
TINY_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"


def net(side: int, channels: int = 3) -> str:
    return f"[net]\nbatch=64\nsubdivisions=16\nwidth={side}\nheight={side}\nchannels={channels}\nlearning_rate=0.001\n"


def section(kind: str, **options: object) -> str:
    lines = [f"[{kind}]", *(f"{key}={value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def conv(filters: int, size: int, stride: int = 1, activation: str = "leaky", norm: int = 1, **more: object) -> str:
    options = {"batch_normalize": norm, "filters": filters, "size": size, "stride": stride, "pad": 1}
    return section("convolutional", **options, activation=activation, **more)


def head(anchors: str, mask: str, classes: int = COCO_CLASSES) -> str:
    """The last convolution of a scale, and its [yolo]."""
    count, total = len(mask.split(",")), len(anchors.split(",")) // 2
    last = section("convolutional", filters=count * (classes + 5), size=1, stride=1, pad=1, activation="linear")
    return last + section("yolo", mask=mask, anchors=anchors, classes=classes, num=total, jitter=".3", random=1)


def darknet53(width: int = 32) -> str:
    """The 52 convolutions before the classifier: five stages of 1, 2, 8, 8 and 4 residual blocks."""
    text = conv(width, 3)
    for stage, blocks in enumerate((1, 2, 8, 8, 4)):
        inner = width << stage
        text += conv(2 * inner, 3, 2)
        text += (
            conv(inner, 1) + conv(2 * inner, 3) + section("shortcut", **{"from": -3, "activation": "linear"})
        ) * blocks
    return text


def yolov3(side: int = 416, width: int = 32, classes: int = COCO_CLASSES) -> str:
    """YOLOv3; `width` 32 is the published one."""
    text = net(side) + darknet53(width)
    for scale, (mask, skip) in enumerate((("6,7,8", 61), ("3,4,5", 36), ("0,1,2", None))):
        inner = 16 * width >> scale
        text += (conv(inner, 1) + conv(2 * inner, 3)) * 3 + head(YOLOV3_ANCHORS, mask, classes)
        if skip is not None:
            text += section("route", layers=-4) + conv(inner // 2, 1) + section("upsample", stride=2)
            text += section("route", layers=f"-1, {skip}")
    return text


def yolov3_tiny(side: int = 416, width: int = 16, classes: int = COCO_CLASSES) -> str:
    """YOLOv3-tiny; `width` 16 is the published one. Its sixth pool has the stride 1."""
    text = net(side)
    for step in range(6):
        text += conv(width << step, 3) + section("maxpool", size=2, stride=2 if step < 5 else 1)
    text += conv(64 * width, 3) + conv(16 * width, 1) + conv(32 * width, 3) + head(TINY_ANCHORS, "3,4,5", classes)
    text += section("route", layers=-4) + conv(8 * width, 1) + section("upsample", stride=2)
    text += section("route", layers="-1, 8") + conv(16 * width, 3)
    return text + head(TINY_ANCHORS, "0,1,2", classes)


def yolov4_tiny(side: int = 416, width: int = 32, classes: int = COCO_CLASSES) -> str:
    """YOLOv4-tiny: half of the channels go through two convolutions and join again, three times."""
    text = net(side) + conv(width, 3, 2) + conv(2 * width, 3, 2)
    for stage in range(3):
        c = 2 * width << stage
        text += conv(c, 3) + section("route", layers=-1, groups=2, group_id=1) + conv(c // 2, 3) + conv(c // 2, 3)
        text += section("route", layers="-1,-2") + conv(c, 1) + section("route", layers="-6,-1")
        text += section("maxpool", size=2, stride=2)
    text += conv(16 * width, 3) + conv(8 * width, 1) + conv(16 * width, 3) + head(TINY_ANCHORS, "3,4,5", classes)
    text += section("route", layers=-4) + conv(4 * width, 1) + section("upsample", stride=2)
    text += section("route", layers="-1, 23") + conv(8 * width, 3)
    return text + head(TINY_ANCHORS, "1,2,3", classes)


def write(
    folder: Path, text: str, words: np.ndarray, version: tuple[int, int, int] = (0, 2, 5), name: str = "net"
) -> Path:
    """Write NAME.cfg and NAME.weights with a header of that version. Returns the path of the .cfg."""
    source = folder / f"{name}.cfg"
    source.write_text(text)
    seen = struct.pack("<q" if version[0] * 10 + version[1] >= 2 and max(version[:2]) < 1000 else "<i", 64)
    (folder / f"{name}.weights").write_bytes(struct.pack("<iii", *version) + seen + words.astype("<f4").tobytes())
    return source
