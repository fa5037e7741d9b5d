"""What a fit makes of a detector: YOLOv3-tiny on the frames of one camera.

    python benchmarks/detector_fit.py --model yolov3-tiny.onnx --video vtest.avi -o people.shoe

Takes every second frame, fits with the runtimes named, and prints for every candidate its latency against the original
and how many images are alike on the selection split; for every rung, on the certification split, the images alike with
the certified bound, confident objects lost and invented, and the mean overlap of the others. Without --model the
network is made from its published weights, as benchmarks/native_models.py does it (torch, pip). The video is
samples/data/vtest.avi of OpenCV; reading it needs opencv-python-headless.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from shoestring.base.units import format_bytes, parse_drop
from shoestring.chips.host import this_machine
from shoestring.domain.budget import Budget
from shoestring.fitting import Fitted, assemble, candidates, fit, workbench

SIDE = 416
COCO = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign "
    "parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie "
    "suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard "
    "tennis_racket bottle wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot "
    "hot_dog pizza donut cake chair couch potted_plant bed dining_table toilet tv laptop mouse remote keyboard "
    "cell_phone microwave oven toaster sink refrigerator book clock vase scissors teddy_bear hair_drier "
    "toothbrush"
)
"""The 80 classes of COCO in the order of their numbers (Lin et al., ECCV 2014; Darknet's data/coco.names)."""


def write_frames(video: Path, folder: Path, step: int) -> int:
    """Every `step`-th frame as a JPEG of quality 95; returns how many."""
    import cv2

    reader, count, place = cv2.VideoCapture(str(video)), 0, 0
    while True:
        there, frame = reader.read()
        if not there:
            break
        if place % step == 0:
            cv2.imwrite(str(folder / f"{place:05}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 95])
            count += 1
        place += 1
    if not count:
        raise SystemExit(f"{video} holds no frame that OpenCV can read")
    return count


def network(folder: Path) -> Path:
    """YOLOv3-tiny with its published weights."""
    import native_models

    path = folder / "yolov3-tiny.onnx"
    native_models.yolo(path, np.zeros((1, 3, SIDE, SIDE), np.float32))
    return path


def show(fitted: Fitted) -> None:
    """Both tables, in Markdown."""
    print(
        "\n| candidate | runtime | time of the original's | images alike | interval of the drop | what became of it |"
    )
    print("|---|---|---:|---:|---:|---|")
    for row in fitted.rows():
        print(
            f"| {row['candidate']} | {row['runtime']} | {1 / row['speedup']:.2f} ({row['latency_ms']:.1f} ms) | "
            f"{100 * row['value']:.1f} % | {100 * row['drop_low']:.1f}..{100 * row['drop_high']:.1f} pt | "
            f"{row['status']}: {row['reason']} |"
        )
    kept = fitted.evidence.detections
    if kept is None:
        raise SystemExit("this is no detector")
    images, objects = len(kept.confident), sum(kept.confident)
    print(f"\n{objects:,} confident objects in {images:,} images of the certification split\n")
    print("| rung | size | images alike | certified drop | lost | invented | mean overlap |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for rung in fitted.ladder.rungs:
        own, given = kept.of(rung.name), rung.certificate
        alike = sum(not gone and not more for gone, more in zip(own.lost, own.invented, strict=True))
        bound = "the original" if given is None else f"{100 * given.max_drop:.2f} pt at {100 * given.confidence:g} %"
        print(
            f"| {rung.name} | {format_bytes(rung.candidate.cost.size_bytes)} | {alike} of {images} | {bound} | "
            f"{sum(own.lost)} of {objects:,} | {sum(own.invented)} | {own.overlap:.3f} |"
        )


def make_plain() -> None:
    """Leave out mixtures of layers, and all thread counts but one."""
    candidates.find_mixtures = lambda *_: ()
    candidates.thread_counts = assemble.thread_counts = lambda *_: (1,)
    workbench.Workbench.threads = property(lambda _: 1)


def show_steps(words: str, done: int, total: int) -> None:
    """Each step once, on stderr."""
    if done == 0:
        print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--step", type=int, default=2, help="takes every N-th frame")
    parser.add_argument("--max-drop", type=parse_drop, help="like 5pt; without it each rung gets the bound that holds")
    parser.add_argument("--runtimes", default="onnxruntime,native")
    parser.add_argument("--plain", action="store_true", help="no layers left in float, and one thread alone: quicker")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    if args.plain:
        make_plain()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        frames = folder / "frames"
        frames.mkdir()
        machine = this_machine()
        print(
            f"{machine.name} ({', '.join(machine.isa)}, {machine.cores} cores); "
            f"{write_frames(args.video, frames, args.step)} frames of {args.video.name}"
        )
        began = time.monotonic()
        fitted = fit(
            args.model or network(folder),
            frames,
            head="yolov3-tiny",
            budget=Budget(max_drop=args.max_drop),
            labels=tuple(name.replace("_", " ") for name in COCO.split()),
            runtimes=args.runtimes.split(","),
            cache=args.cache,
            out=args.out,
            progress=show_steps,
        )
        print(f"fitted in {time.monotonic() - began:.0f} s; chosen: {fitted.ladder.chosen}")
    for note in fitted.notes:
        print(f"- {note}")
    show(fitted)


if __name__ == "__main__":
    main()
