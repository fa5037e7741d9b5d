"""Predicted beside measured peak memory, each in a fresh process on this machine.

    python benchmarks/native_models.py --out MODELS
    python benchmarks/predict_memory.py --models MODELS

Runs NAME_fp32.onnx and NAME_int8.onnx of the folder on ONNX Runtime and as native programs, prints one line each, the
share inside the 90 % interval, and with --fit the constants that least squares would put into `costmodel/memory.csv`.
The constants there were fitted on cifar10_main, mobilenet_v1, mobilenet_v2, resnet18 and resnet50; what else the folder
holds was not seen by the fit.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from shoestring.analysis import features_of
from shoestring.chips.host import this_machine
from shoestring.costmodel.memory import WEIGHT_BITS, process_memory
from shoestring.costmodel.rss import peak_rss_bytes
from shoestring.domain.estimate import NoClaim
from shoestring.fitting.programs import host_target
from shoestring.importers import import_model
from shoestring.native.compiling import compile_library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoestring.domain.features import Features

FITTED = ("cifar10_main", "mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50")


def measured(path: Path, scratch: Path) -> Iterator[tuple[str, Features, int]]:
    """Runtime, features and peak bytes of one file on each runtime."""
    model = import_model(path, scratch / path.name)
    features = features_of(model)
    yield "onnxruntime", features, peak_rss_bytes(model.path, "onnxruntime", 1)
    machine = this_machine()
    program = scratch / f"{path.stem}.so"
    compile_library(model.path, path.stem, host_target(machine.isa, machine.arch), 1, program)
    yield "native", features, peak_rss_bytes(program, "native", 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("~/.cache/shoestring/models"))
    parser.add_argument("--fit", action="store_true", help="print fitted constants too")
    arguments = parser.parse_args()
    errors: dict[bool, list[float]] = defaultdict(list)
    inside: dict[bool, list[bool]] = defaultdict(list)
    points: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    print(f"{'model':24} {'runtime':12} {'measured':>10} {'predicted':>10} {'interval':>17} {'error':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(arguments.models.expanduser().glob("*_*.onnx")):
            name, _, precision = path.stem.rpartition("_")
            if precision not in WEIGHT_BITS:
                continue
            for runtime, features, peak in measured(path, Path(folder)):
                found = process_memory(features, runtime=runtime, precision=precision, process="python")
                if isinstance(found, NoClaim):
                    raise SystemExit(found.why)
                seen, error = name in FITTED, found.value / peak - 1
                errors[seen].append(abs(error))
                inside[seen].append(found.low <= peak <= found.high)
                size = WEIGHT_BITS[precision] / 8
                points[runtime, precision].append(
                    (features.params * size, size * (features.peak_activation_elems or 0), peak)
                )
                interval = f"{found.low / 1e6:.0f}-{found.high / 1e6:.0f} MB"
                print(
                    f"{path.stem:24} {runtime:12} {peak / 1e6:7.1f} MB {found.value / 1e6:7.1f} MB {interval:>17} "
                    f"{100 * error:+6.1f}%{'' if seen else '  not seen by the fit'}",
                    flush=True,
                )
    for seen in sorted(errors, reverse=True):
        print(
            f"{'fitted on' if seen else 'not seen'}: {len(errors[seen])} files, error median "
            f"{100 * np.median(errors[seen]):.1f} %, worst {100 * max(errors[seen]):.1f} %, in the interval "
            f"{100 * np.mean(inside[seen]):.0f} %"
        )
    for key, rows in points.items() if arguments.fit else ():
        weights, activations, peaks = np.array(rows).T
        design = np.stack([np.full_like(peaks, 1e6), weights], axis=1) / peaks[:, None]
        (base, factor), _ = nnls(design, 1 - activations / peaks)
        print(f"{' '.join(key)}: base {base:.1f} MB, per weight {factor:.2f}, per activation 1")


if __name__ == "__main__":
    main()
