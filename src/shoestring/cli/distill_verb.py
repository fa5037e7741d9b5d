"""Train a smaller network from a model's own answers, fast enough for a latency and with the same interface.

Image size, depth and width are searched by measuring on this machine; the best of a short race is trained on unlabelled
images. The result is one ONNX file for `shoestring fit`. A stopped run goes on with the same command.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shoestring.cli.options import add_preprocess, preprocess_from

EXAMPLE = "shoestring distill model.onnx --data photos/ --train-data more-photos/ --target-latency 2ms -o student.onnx"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="ONNX file, opset 11 or later")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="what fit will be given; the images it certifies on are not learned from",
    )
    parser.add_argument("--target-latency", required=True, metavar="2ms", help="of one image in 8 bits, at one thread")
    parser.add_argument("-o", "--out", type=Path, required=True, help="ONNX file to write, like student.onnx")
    parser.add_argument(
        "--train-data",
        type=Path,
        metavar="DIR",
        help="more images to learn from, labels or not (default: part of --data)",
    )
    train = parser.add_argument_group("training")
    train.add_argument("--epochs", type=int, default=20, metavar="N", help="rounds over the images (default: 20)")
    train.add_argument("--batch", type=int, default=64, metavar="N", help="images a step (default: 64)")
    train.add_argument("--rate", type=float, default=2e-3, metavar="R", help="highest learning rate (default: 0.002)")
    train.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    train.add_argument("--threads", type=int, metavar="N", help="of training on a CPU (default: all)")
    train.add_argument("--no-rounding", action="store_true", help="no 8-bit rounding in the last fifth of the epochs")
    train.add_argument("--work", type=Path, metavar="DIR", help="unfinished work (default: in the user's cache)")
    data = parser.add_argument_group("data")
    data.add_argument("--labels", type=Path, metavar="FILE", help="class names in the model's order, one a line")
    data.add_argument("--limit", type=int, metavar="N", help="use at most N images of --data, as in fit")
    data.add_argument("--seed", type=int, default=0, help="of the splits, as in fit, and of training")
    data.add_argument("--cache", type=Path, metavar="DIR", help="finished steps (default: the user's cache)")
    add_preprocess(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.units import parse_ms
    from shoestring.chips.host import this_machine
    from shoestring.cli import console
    from shoestring.evaluate.dataset_labels import read_label_names
    from shoestring.training.distill import distill
    from shoestring.training.settings import Settings

    settings = Settings(
        epochs=arguments.epochs,
        batch=arguments.batch,
        rate=arguments.rate,
        seed=arguments.seed,
        device=arguments.device,
        threads=this_machine().cores if arguments.threads is None else arguments.threads,
        int8_epochs=not arguments.no_rounding,
    )
    with console.ShowProgress() as progress:
        made = distill(
            arguments.model,
            arguments.data,
            parse_ms(arguments.target_latency),
            arguments.out,
            train_data=arguments.train_data,
            preprocess=preprocess_from(arguments),
            labels=read_label_names(arguments.labels) if arguments.labels else (),
            limit=arguments.limit,
            settings=settings,
            work=arguments.work,
            cache=arguments.cache,
            progress=progress,
        )
    if arguments.json:
        console.show_json(made)
        return 0
    for note in made.notes:
        console.say(note)
    met = "" if made.latency_ms <= made.target_ms else f", above the {made.target_ms:g} ms asked for"
    for title, words in (
        ("student", f"{made.path}: {made.shape}"),
        ("latency", f"{made.latency_ms:.3f} ms in 8 bits{met}; the original {made.original_ms:.3f} ms"),
        ("parameters", f"{made.parameters:,}"),
        ("agreement", f"{100 * made.agreement:.2f} % of {made.held:,} held-out images"),
        ("in 8 bits", f"{100 * made.agreement_int8:.2f} %"),
        ("next", f"shoestring fit {arguments.model} --data {arguments.data} --student {made.path} ..."),
    ):
        print(f"{title:<12}{words}")
    return 0
