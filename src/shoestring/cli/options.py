"""Flags that several verbs share."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from shoestring.domain.preprocess import Preprocess

FLAGS = ("resize", "resize_to", "filter", "colour", "scale", "mean", "std", "layout", "dtype")


def add_preprocess(parser: argparse.ArgumentParser) -> None:
    """--preprocess FILE, or the same one by one; without any, it is proposed from the model and checked."""
    group = parser.add_argument_group("pre-processing (proposed and checked when not given)")
    group.add_argument("--preprocess", type=Path, metavar="FILE", help="preprocess.toml")
    group.add_argument("--input-size", metavar="HxW", help="pixels of the model's input")
    group.add_argument("--resize", help="stretch, shorter-side, letterbox or none")
    group.add_argument("--resize-to", type=int, metavar="N", help="shorter side before the centre crop")
    group.add_argument("--filter", help="nearest, bilinear, bicubic or area")
    group.add_argument("--colour", help="rgb, bgr or grey")
    group.add_argument("--scale", type=float, help="factor on 0..255 before the mean is taken off")
    group.add_argument("--mean", metavar="R,G,B", help="of the scaled values")
    group.add_argument("--std", metavar="R,G,B", help="of the scaled values")
    group.add_argument("--layout", help="nchw or nhwc")
    group.add_argument("--dtype", help="float32 or uint8")


def add_weights(parser: argparse.ArgumentParser) -> None:
    """--weights FILE: for a MODEL that does not hold its own."""
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="of a Darknet .cfg (default: beside it, with the same name)"
    )


def add_quarantine(parser: argparse.ArgumentParser) -> None:
    """--require-quarantine: for files that nobody vouches for."""
    parser.add_argument(
        "--require-quarantine",
        action="store_true",
        help="refuse where this kernel cannot close the process that reads the file (Linux before 5.13, emulators); "
        "otherwise that is said, and limits on time, memory and file size remain",
    )


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `import_model` takes of the flags of `add_weights` and `add_quarantine`."""
    return {"weights": arguments.weights, "require_quarantine": arguments.require_quarantine}


def preprocess_from(arguments: argparse.Namespace) -> Preprocess | None:
    """The specification that the flags describe, or None when there are none.

    Raises:
        UsageError: flags without a size, or a list that holds no numbers.
        DataError: the specification breaks a rule.
    """
    from shoestring.domain.preprocess import Preprocess
    from shoestring.inputs.spec import check_preprocess, load_preprocess

    changes: dict[str, Any] = {name: getattr(arguments, name) for name in FLAGS if getattr(arguments, name) is not None}
    for name in ("mean", "std"):
        if name in changes:
            changes[name] = _numbers(name, changes[name])
    if arguments.input_size is not None:
        changes["height"], changes["width"] = _size(arguments.input_size)
    if arguments.preprocess is not None:
        spec = replace(load_preprocess(arguments.preprocess), **changes)
    elif not changes:
        return None
    elif "height" in changes:
        spec = Preprocess(**changes)
    else:
        raise UsageError("pre-processing flags need the input's size", hint="add --input-size 224x224")
    check_preprocess(spec)
    return spec


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--{name} {text!r} is not a list of numbers", hint=f"write --{name} 0.485,0.456,0.406"
        ) from None


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise UsageError(f"--input-size {text!r} is not HEIGHTxWIDTH", hint="write --input-size 224x224")
    return int(height), int(width)
