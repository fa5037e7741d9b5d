"""YOLOv3-tiny on a film, end to end on one core: our pipeline beside the straightforward one.

    python benchmarks/native_models.py --out MODELS --models yolov3_tiny --scheme u8s7     # u8s8 with VNNI
    python benchmarks/pipeline.py MODELS --truth det.txt

The straightforward pipeline decodes with OpenCV, resizes with Pillow, runs ONNX Runtime in fp32 and decodes the heads
by the book. Ours gets one thing more with each row. All go through the same frames in interleaved rounds; a ratio is
taken within a round, and its median stands with the tenth and the ninetieth percentile. Then the same from JPEG files
of 1920 x 1080, and from a film that mostly stands still, for which the motion gate is made.

Average precision at an overlap of 0.5, twice: of people against --truth, and over classes against what the
straightforward pipeline is sure of (a score of 0.5), by which it has 100 % itself. The film is a sequence of PETS 2009;
--truth takes boxes in the format of MOTChallenge: its own annotations of PETS09-S2L1, or the detections of Faster R-CNN
that the authors of SORT published (github.com/abewley/sort, data/train/PETS09-S2L1/det/det.txt).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from average_precision import Thing, average_precision, mean_average_precision, things
from pipeline_engines import SPEC, Engine, fastest, load, quantized
from pipeline_film import (
    JUDGED,
    PERSON,
    QUIET_TURN,
    codec,
    film,
    people,
    shown_at,
    unjudged,
    widened,
    write_jpegs,
    write_quiet,
)
from pipeline_rivals import SPARINGS, Rival, decoded, decoded_jpegs, ours, plain
from results import align
from shoestring.chips.host import this_machine
from shoestring.device.pipelines.sources.images import Images
from shoestring.device.pipelines.sources.opencv import VideoFile

if TYPE_CHECKING:
    from collections.abc import Sequence

SURE, LEAST_THINGS = 0.5, 20
RUNTIMES = "onnxruntime,openvino,litert,ncnn,native"


def race(rivals: Sequence[Rival], frames: int, round_frames: int) -> None:
    """All rivals through all frames; every round begins with another one."""
    for turn, start in enumerate(range(0, frames, round_frames)):
        first = turn % len(rivals)
        for rival in (*rivals[first:], *rivals[:first]):
            rival.go(min(round_frames, frames - start))


def table(rivals: Sequence[Rival], truth: dict[int, list[Thing]], round_frames: int) -> str:
    base = rivals[0]
    frames = len(base.found)
    sure = [things(boxes, SURE) for boxes in base.found]
    rows = [["", "frames/s", "ratio (10-90 %)", "AP of people", "mAP to the first", "asked the model"]]
    for rival in rivals:
        rates = [count / taken for count, taken in zip(_sizes(frames, round_frames), rival.seconds, strict=True)]
        ratios = np.array(base.seconds) / np.array(rival.seconds)
        low, mid, high = np.percentile(ratios, [10, 50, 90])
        wanted = [truth.get(number, []) for number in range(frames)]
        ap = f"{average_precision(wanted, rival.found, PERSON):.1%}" if truth else "-"
        asked = rival.by.get("model", 0) / frames if rival.by else 1.0
        mean = mean_average_precision(sure, rival.found, LEAST_THINGS)
        row = [rival.name, f"{np.median(rates):.1f}", f"{mid:.2f} ({low:.2f}-{high:.2f})", ap, f"{mean:.1%}"]
        rows.append([*row, f"{asked:.0%}"])
    return align(rows)


def _sizes(frames: int, round_frames: int) -> list[int]:
    return [min(round_frames, frames - start) for start in range(0, frames, round_frames)]


def some(path: Path, int8: Engine, *names: str) -> list[Rival]:
    return [ours(f"+ {name}", VideoFile(path), int8, SPARINGS[name]) for name in names]


def on_film(path: Path, fp32: Engine, int8: Engine) -> list[Rival]:
    return [
        plain("straightforward", decoded(path), fp32),
        plain(int8.name, decoded(path), int8),
        *some(path, int8, *(name for name in SPARINGS if name != "gate")),
    ]


def on_jpegs(paths: list[Path], fp32: Engine, int8: Engine) -> list[Rival]:
    mine = {"scaled decoding": "tracks", "every 2nd frame": "every 2nd frame"}
    return [
        plain("straightforward", decoded_jpegs(paths), fp32),
        plain(int8.name, decoded_jpegs(paths), int8),
        *(ours(f"+ {words}", Images(paths, SPEC), int8, SPARINGS[name]) for words, name in mine.items()),
    ]


def on_quiet(path: Path, fp32: Engine, int8: Engine) -> list[Rival]:
    names = ("tracks", "gate", "every 2nd frame", "every 2nd frame and gate")
    return [plain("straightforward", decoded(path), fp32), *some(path, int8, *names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="folder that native_models.py wrote")
    parser.add_argument("--truth", type=Path, help="boxes of the people in the film, in the format of MOTChallenge")
    parser.add_argument("--scheme", default="u8s7", help="8-bit types (compress/schemes.toml)")
    parser.add_argument("--runtimes", default=RUNTIMES, help="of the 8-bit network, with commas between")
    parser.add_argument("--frames", type=int, default=JUDGED)
    parser.add_argument("--jpegs", type=int, default=200)
    parser.add_argument("--quiet", type=int, default=300, help="frames of the quiet film")
    parser.add_argument("--round", type=int, default=20, help="frames of a round")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    fp32_model = arguments.models.expanduser() / "yolov3_tiny_fp32.onnx"
    everybody = people(arguments.truth) if arguments.truth else {}
    print(f"{this_machine().name}, one core")
    with tempfile.TemporaryDirectory() as scratch:
        model = quantized(fp32_model, unjudged(film()), Path(scratch) / "int8.onnx", arguments.scheme)
        fp32 = Engine("fp32 onnxruntime", load("onnxruntime", fp32_model, "fp32"))
        int8, times = fastest(model, arguments.runtimes.split(","))
        print("int8, ms a picture:", ", ".join(f"{name.split()[1]} {taken:.1f}" for name, taken in times.items()))
        rounds = arguments.round
        rivals = on_film(film(), fp32, int8)
        race(rivals, arguments.frames, rounds)
        print(f"\n{arguments.frames} frames of 768 x 576, {codec(film())}\n")
        print(table(rivals, everybody, rounds), flush=True)
        paths = write_jpegs(film(), Path(scratch), arguments.jpegs)
        rivals = on_jpegs(paths, fp32, int8)
        race(rivals, len(paths), rounds)
        print(f"\n{len(paths)} JPEG files of 1920 x 1080\n")
        print(table(rivals, widened(everybody), rounds), flush=True)
        quiet = write_quiet(film(), Path(scratch) / "quiet.avi", arguments.quiet)
        rivals = on_quiet(quiet, fp32, int8)
        race(rivals, arguments.quiet, QUIET_TURN)  # each round moves and stands
        print(f"\n{arguments.quiet} frames that stand still three seconds of five, {codec(quiet)}\n")
        shown = {number: everybody.get(shown_at(number), []) for number in range(arguments.quiet)} if everybody else {}
        print(table(rivals, shown, QUIET_TURN))


if __name__ == "__main__":
    main()
