"""How far predictions are off on rows that the predictor had not seen: median, p90, coverage and width, by group.

python benchmarks/predict.py                    # on the table, each network left out in turn
python benchmarks/predict.py --rows FILE.csv    # on rows of another file, by ground
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from predict_latency_groups import GROUPS
from predict_rows import blind_cases
from shoestring.domain.estimate import Estimate

HEAD = f"{'group':32s} {'n':>6s} {'median':>7s} {'p90':>6s} {'target':>9s} {'covered':>8s} {'width':>6s}"


def line(name: str, target: tuple[float, float] | None, cases: Iterable[tuple[float, Estimate]]) -> str:
    """One line of the table: errors and width in percent of the prediction."""
    pairs = list(cases)
    if not pairs:
        return f"{name:32s} {0:6d}   no rows"
    errors = [100 * abs(said.value / actual - 1) for actual, said in pairs]
    covered = 100 * np.mean([said.low <= actual <= said.high for actual, said in pairs])
    width = np.median([100 * (said.high - said.low) / said.value for _, said in pairs])
    aim = f"{target[0]:g} / {target[1]:g}" if target else ""
    median, p90 = np.quantile(errors, [0.5, 0.9])
    return f"{name:32s} {len(pairs):6d} {median:6.1f}% {p90:5.0f}% {aim:>9s} {covered:7.1f}% {width:5.0f}%"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="CSV of measurements: chip, model, input, latency_ms ..."
    )
    chosen = parser.parse_args()
    print(HEAD)
    if chosen.rows is None:
        for group in GROUPS:
            print(line(group.name, group.target, group.cases()))
        return
    found, refused = blind_cases(list(csv.DictReader(chosen.rows.read_text(encoding="utf-8").splitlines())))
    by = defaultdict(list)
    for name, actual, said in found:
        by[name].append((actual, said))
    for name in sorted(by):
        print(line(name, None, by[name]))
    for why, count in refused.most_common():
        print(f"{count:6d} rows without a claim: {why}")


if __name__ == "__main__":
    main()
