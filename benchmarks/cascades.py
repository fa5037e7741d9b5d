"""What a cascade gains on this machine, end to end: the demo with its small model as a student.

For each margin the demo is fitted; where a cascade pays, device and rung answer the same images in turns, and the mean
time of an image is set beside the expected one. Both times are of the whole answer, from pixels to classes, so they
include the input's preparation, which the latency of a rung does not.

    python benchmarks/cascades.py --cache out/cache
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import shoestring as ss
from shoestring.device import expand, read_image
from shoestring.inputs.spec import load_preprocess

EXAMPLES = Path(__file__).parents[1] / "examples"
ROUNDS = 9
IMAGES = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--margins", default="1,1.5,2,3", help="points")
    parser.add_argument("--seeds", default="0", help="of the splits")
    arguments = parser.parse_args()
    print("| margin | seed | chosen rung | cascade | shares | expected | rung, whole answer | cascade, whole answer |")
    print("|---|---|---|---|---|---|---|---|")
    for points in arguments.margins.split(","):
        for seed in arguments.seeds.split(","):
            print(row(float(points), int(seed), arguments.cache), flush=True)


def row(points: float, seed: int, cache: Path | None) -> str:
    """One line of the table."""
    spec = load_preprocess(EXAMPLES / "cifar10_main.toml")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "demo.shoe"
        fitted = ss.fit(
            EXAMPLES / "cifar10_main.onnx",
            EXAMPLES / "cifar10",
            out=out,
            budget=ss.Budget(max_drop=points / 100),
            preprocess=spec,
            students=[EXAMPLES / "cifar10_small.onnx"],
            seed=seed,
            cache=cache,
        )
        ladder = fitted.ladder
        chosen = ladder.rung(ladder.chosen)
        alone = chosen.candidate.cost.at(chosen.threads).median_ms
        head = f"| {points:g} pt | {seed} | {chosen.name} {alone:.3f} ms |"
        if ladder.cascade is None:
            reason = next(note for note in fitted.notes if "cascade" in note)
            return f"{head} none: {reason} | | | | |"
        shares = ", ".join(f"{100 * share:.0f} %" for share in ladder.cascade.shares)
        single, climbing = whole_answers(out)
        stages = " > ".join(stage.rung for stage in ladder.cascade.stages)
        return (
            f"{head} {stages} | {shares} | {ladder.cascade.expected_ms:.3f} ms | {single:.3f} ms | {climbing:.3f} ms |"
        )


def whole_answers(bundle: Path) -> tuple[float, float]:
    """Mean time of an image in ms by the chosen rung and by the cascade, in turns; the median of ROUNDS rounds."""
    with ss.open_bundle(bundle) as opened, ss.Player(opened, cascade=False) as rung, ss.Player(opened) as cascade:
        files = expand([EXAMPLES / "cifar10"])
        picked = np.random.default_rng(0).choice(len(files), IMAGES, replace=False)
        images = [read_image(files[place], opened.manifest.preprocess) for place in picked]
        times: dict[str, list[float]] = {"rung": [], "cascade": []}
        for _ in range(ROUNDS):
            for name, player in (("rung", rung), ("cascade", cascade)):
                started = time.perf_counter()
                for _ in player.classify(images):
                    pass
                times[name].append(1000 * (time.perf_counter() - started) / IMAGES)
    return statistics.median(times["rung"]), statistics.median(times["cascade"])


if __name__ == "__main__":
    main()
