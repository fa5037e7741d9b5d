"""Read a model in another format and write it as ONNX, which every other verb takes; a model that writes, as GGUF.

Other verbs read the same formats themselves. This one is for files that must be asked for (pickles of PyTorch, which
run code when they are opened), for those that do not say how large their inputs are, and to see what a model becomes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.options import add_quarantine, options_of

if TYPE_CHECKING:
    from shoestring.domain.model import Model

EXAMPLE = "shoestring import net.pt --allow-pickle --shape x=Nx3x224x224 -o net.onnx"
FREE = "n"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        type=Path,
        help="ONNX, an exported program of PyTorch (.pt2), a Darknet .cfg or a .tflite file, or a Hugging Face folder",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        help="file to write: ONNX, or .gguf for the folder of a model that writes",
    )
    parser.add_argument(
        "--pooling", choices=("mean", "cls"), help="of the folder of an encoder that does not say (default: mean)"
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=Nx3x224x224",
        help="of an input that the file leaves open, N for a free batch; repeatable",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="of a Darknet .cfg (default: the file beside it of the same name)"
    )
    add_quarantine(parser)
    parser.add_argument("--fixed-batch", action="store_true", help="make a free batch 1")
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="open TorchScript and pickled modules too, which can run any code; in a closed process: no network, no "
        "files, no programs",
    )


def run(arguments: argparse.Namespace) -> int:
    from shoestring.cli import console
    from shoestring.importers import import_model

    if arguments.model.is_dir():
        from shoestring.cli import import_folder

        return import_folder.run(arguments)
    model = import_model(
        arguments.model,
        arguments.out,
        batch_free=not arguments.fixed_batch,
        shapes=dict(parse_shape(text) for text in arguments.shape),
        allow_pickle=arguments.allow_pickle,
        **options_of(arguments),
    )
    if arguments.json:
        console.show_json(model)
        return 0
    show_model(model)
    return 0


def show_model(model: Model) -> None:
    """Inputs, outputs and opset on stdout, notes on stderr."""
    from shoestring.cli import console

    for kind, specs in (("input", model.inputs), ("output", model.outputs)):
        for spec in specs:
            shape = " x ".join("?" if size is None else str(size) for size in spec.shape)
            print(f"{kind:<10}{spec.name}: {spec.dtype} {shape}")
    print(f"{'opset':<10}{model.opset}")
    for note in model.notes:
        console.say(note)
    console.say(f"wrote {model.path}")


def parse_shape(text: str) -> tuple[str, tuple[int | None, ...]]:
    """NAME=Nx3x224x224: the name, and the sizes with None for N.

    Raises:
        UsageError: it is written otherwise.
    """
    from shoestring.base.errors import UsageError

    name, _, sizes = text.rpartition("=")
    parts = sizes.lower().split("x")
    if not name or not all(part == FREE or (part.isascii() and part.isdecimal() and int(part) > 0) for part in parts):
        raise UsageError(f"--shape {text!r} is not NAME=SIZES", hint="write --shape input=Nx3x224x224")
    return name, tuple(None if part == FREE else int(part) for part in parts)
