"""Name the known diseases of a model, with evidence and cure.

The model is read in quarantine and looked at without images as far as that goes; with --data also on images. What could
not be examined is listed, with the reason. Exit code 0 says that the examination was done, whatever it found.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from shoestring.cli.options import add_preprocess, add_weights, preprocess_from

EXAMPLE = "shoestring doctor model.onnx --data photos/ --target x86"
IMAGES = 64


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model, float or quantized: ONNX, or see docs/importers.md")
    add_weights(parser)
    parser.add_argument(
        "--data", type=Path, help="folder of class folders, folder of images, CSV of path,label, or .npz"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="class names in the model's order, one a line")
    parser.add_argument(
        "--limit", type=int, default=IMAGES, metavar="N", help=f"use at most N images (default: {IMAGES})"
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="x86 (AVX2 without VNNI), arm, a target or board of `compile`, edge-tpu, or instruction sets like "
        "avx2,fma (default: this machine)",
    )
    parser.add_argument("--all", action="store_true", help="show all evidence, not the three worst places")
    add_preprocess(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.diagnosis import diagnose, examine, take_aim
    from shoestring.diagnosis.table import render
    from shoestring.evaluate.dataset import open_dataset
    from shoestring.evaluate.dataset_labels import read_label_names
    from shoestring.importers import import_model

    aim = take_aim(arguments.target)
    preprocess = preprocess_from(arguments)
    if arguments.data is None and (preprocess is not None or arguments.labels is not None):
        raise UsageError("pre-processing and labels say nothing without images", hint="add --data DIR")
    names = read_label_names(arguments.labels) if arguments.labels is not None else ()
    with tempfile.TemporaryDirectory() as scratch:
        model = import_model(arguments.model, Path(scratch) / "model.onnx", weights=arguments.weights)
        dataset = open_dataset(arguments.data, label_names=names, limit=arguments.limit) if arguments.data else None
        diagnosis = diagnose(examine(model, aim, dataset=dataset, preprocess=preprocess))
    notes = (*model.notes, *(dataset.notes if dataset is not None else ()))
    if arguments.json:
        console.show_json(
            {
                "model": model.source_name,
                "sha256": model.source_sha256,
                "target": {"name": aim.name, "isa": sorted(aim.isa), "accelerator": aim.accelerator},
                "notes": notes,
                "diagnosis": diagnosis,
            }
        )
        return 0
    for note in notes:
        console.say(note)
    print("\n".join(render(diagnosis, model.source_name, everything=arguments.all)))
    return 0
