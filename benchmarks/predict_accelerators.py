"""How far predictions on accelerators are off on networks left out of all learning: median, p90, coverage, width.

    python benchmarks/predict_accelerators.py

Each network is left out in turn; its interval comes from the errors of the others, each left out of that rest again.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.accelerators.edge_tpu import edge_tpu_sample
from shoestring.costmodel.accelerators.regression import fitted, guess
from shoestring.costmodel.accelerators.sample import Sample, sample

GROUPS = {
    "Edge TPU": lambda row: row.device == "edgetpu",
    "NPU (RKNN, int8)": lambda row: row.runtime.startswith("RKNN") and row.precision == "int8",
    "GPU (Vulkan, ncnn)": lambda row: row.device == "gpu-vulkan",
    "NPU, streamed (Hailo)": lambda row: row.chip.startswith("hailo"),
    "microcontrollers": lambda row: row.device == "mcu",
}


def held_out(known: Sample) -> list[tuple[float, float]]:
    """(error of a network left out, half width of its interval), both in logarithms."""
    names, found = np.array(known.models), []
    for name in dict.fromkeys(known.models):
        out = names == name
        line = fitted(known.terms[~out], known.ms[~out], [one for one in known.models if one != name])
        if line is not None:
            errors = np.log(guess(line.weights, known.terms[out], line.power) / known.ms[out])
            found += [(float(error), math.log(line.spread())) for error in errors]
    return found


def samples(chosen: list, edge: bool) -> list[Sample]:
    """One sample for each chip, runtime and precision; one for all hosts of the Edge TPU."""
    anyone = published_networks()["mobilenet_v2", "224x224x3"]
    if edge:
        return [edge_tpu_sample(published_rows(), "PCIe", anyone)]
    parts = defaultdict(list)
    for row in chosen:
        if "noisy" not in row.flags:
            parts[row.chip, row.runtime, row.device, row.precision].append(row)
    made = (sample(rows, anyone, published_networks()) for rows in parts.values())
    return [one for one in made if one is not None]


def main() -> None:
    print(f"{'group':24s} {'n':>5s} {'median':>7s} {'p90':>6s} {'covered':>8s} {'width':>7s}")
    for name, belongs in GROUPS.items():
        rows = [row for row in published_rows() if belongs(row) and row.tokens_s is None]
        found = [pair for one in samples(rows, name == "Edge TPU") for pair in held_out(one)]
        errors = 100 * np.abs(np.exp([error for error, _ in found]) - 1)
        covered = 100 * np.mean([abs(error) <= half for error, half in found])
        width = math.exp(float(np.median([half for _, half in found])))
        median, p90 = np.quantile(errors, [0.5, 0.9])
        print(f"{name:24s} {len(found):5d} {median:6.1f}% {p90:5.0f}% {covered:7.1f}%  x{width:5.2f}")


if __name__ == "__main__":
    main()
