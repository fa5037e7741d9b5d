"""Us beside the peers, in one run on this machine.

    python benchmarks/compress.py --model X.onnx --preprocess X.toml --data PHOTOS --out results.json

See docs/benchmarks.md: what each contestant is, who saw which images, and what the columns mean.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import results
from contestants import PEER_SECONDS, REFERENCE, Contestant, Ground, ours, peers, say
from judging import RUNTIME, judge
from native_peak import measure_peak
from peers_inputs import fill_batch
from shoestring.analysis import profile
from shoestring.base import disk
from shoestring.base.canonical import plain
from shoestring.base.errors import ShoestringError
from shoestring.base.units import parse_drop
from shoestring.chips.host import this_machine
from shoestring.costmodel.measure import SECONDS_EACH, Measured, describe, measure
from shoestring.domain.budget import Budget
from shoestring.evaluate.dataset import open_dataset
from shoestring.evaluate.dataset_labels import read_label_names
from shoestring.evaluate.splits import split
from shoestring.inputs.image import tensor
from shoestring.inputs.spec import load_preprocess
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shoestring.domain.cost import Cost

PEER_MAX_DROP = 0.01


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="ONNX file")
    parser.add_argument("--preprocess", type=Path, required=True, help="TOML: from image to input")
    parser.add_argument("--data", type=Path, required=True, help="as for shoestring fit; labels are used when there")
    parser.add_argument("--labels", type=Path, help="class names in the model's order, one a line")
    parser.add_argument("--max-drop", help=f"like 1pt: of our fit (default none) and NNCF ({PEER_MAX_DROP:g})")
    parser.add_argument("--threads", default="1,2", help="thread counts to time at (default 1,2)")
    parser.add_argument("--seconds", type=float, default=SECONDS_EACH, help="of timing, each contestant and count")
    parser.add_argument("--pin", metavar="0,1", help="processors to stay on while timing")
    parser.add_argument("--limit", type=int, help="use at most this many images")
    parser.add_argument("--seed", type=int, default=0, help="of the splits")
    parser.add_argument("--peer-seconds", type=float, default=PEER_SECONDS, help="a peer may take (default 3600)")
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> Ground:
    """Images and splits, the same for all; the fit is checked to have used these."""
    dataset = open_dataset(
        args.data, label_names=tuple(read_label_names(args.labels)) if args.labels else (), limit=args.limit
    )
    with registry.get(RUNTIME).load(args.model, 1) as session:
        spec = session.inputs[0]
    max_drop = parse_drop(args.max_drop) if args.max_drop else None
    return Ground(
        model=args.model.absolute(),
        input=spec,
        data=args.data,
        dataset=dataset,
        splits=split(dataset, seed=args.seed),
        spec=load_preprocess(args.preprocess),
        budget=Budget(max_drop=max_drop),
        peer_max_drop=PEER_MAX_DROP if max_drop is None else max_drop,
        seed=args.seed,
        limit=args.limit,
    )


@contextlib.contextmanager
def pinned(processors: str | None) -> Iterator[None]:
    """Stay on these processors; child processes do so too."""
    before = os.sched_getaffinity(0)
    if processors:
        os.sched_setaffinity(0, [int(number) for number in processors.split(",")])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def time_all(
    ground: Ground, models: dict[str, Contestant], threads: Sequence[int], args: argparse.Namespace
) -> dict[str, Cost]:
    """Side by side, on an image of the certification split."""
    pixels = next(ground.dataset.batches(ground.splits.certification[:1], ground.spec, 1))
    feeds = {ground.input.name: fill_batch(tensor(pixels, ground.spec), ground.input.shape[0])}
    entries = [Measured(name, one.path, one.runtime, one.path.stat().st_size) for name, one in models.items()]
    with pinned(args.pin):
        return measure(entries, REFERENCE, threads, seconds_each=args.seconds, feeds=feeds, progress=say)


def compare(args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Make, judge and time every contestant; print as it goes; return everything."""
    ground, machine = prepare(args), this_machine()
    threads = [int(count) for count in args.threads.split(",")]
    say("our fit, from an empty cache")
    field = [Contestant(REFERENCE, ground.model, None, "the user's own file"), *ours(ground, scratch)]
    field += peers(ground, scratch, args.peer_seconds)
    models = {one.name: one for one in field if one.path is not None}
    verdicts, broken = judge(ground, models, machine.cores)
    costs = time_all(ground, {name: models[name] for name in verdicts}, threads, args)
    failures = broken | {one.name: one.note for one in field if one.path is None}
    sizes = {name: len(getattr(ground.splits, name)) for name in ("calibration", "selection", "certification")}
    said = {
        "model": args.model.name,
        "machine": plain(machine),
        "pinned": args.pin,
        "versions": results.versions(),
        "images": sizes,
        "seed": ground.seed,
        "max_drop": {"fit": ground.budget.max_drop, "nncf": ground.peer_max_drop},
        "measurement": describe(len(costs), REFERENCE, threads, seconds_each=args.seconds),
        "failures": failures,
    }
    print(results.page(said, field, verdicts, costs))
    for line in results.roofline(field, costs, profile(args.model).macs, measure_peak(0, False)):
        print(line)
    records = [
        results.record(one, verdicts.get(one.name), costs.get(one.name), failures.get(one.name)) for one in field
    ]
    return {**said, "contestants": records}


def main() -> None:
    args = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="shoestring-benchmark-") as scratch:
            outcome = compare(args, Path(scratch))
        if args.out:
            disk.write_text(args.out, json.dumps(outcome, indent=2, allow_nan=False) + "\n")
    except ShoestringError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
