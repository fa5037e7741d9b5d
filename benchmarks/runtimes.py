"""All runtimes x precisions x threads on one model in one interleaved run, and how near each comes to fp32.

    python benchmarks/native_models.py --out MODELS --scheme u8s7     # u8s8 where the processor has VNNI
    python benchmarks/runtimes.py MODELS --models mobilenet_v2,yolov3_tiny
    python benchmarks/runtimes.py MODELS --models cifar10_main --bundle demo.shoe

Each cell is the model's file converted for that runtime. Runtimes of others run in processes of their own. Agreement is
measured on the photographs stored beside the models: for classifiers the part of equal first classes, and for all the
signal-to-noise ratio of the outputs against fp32. With --bundle the chosen rung of a bundle, which `fit` made of the
same model, joins the run, and is held to the fastest cell that keeps the bundle's margin of agreement.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from results import align
from shoestring.base import disk
from shoestring.base.errors import ShoestringError
from shoestring.base.outputs import sqnr_db
from shoestring.bundle import open_bundle
from shoestring.chips.host import this_machine
from shoestring.convert.registry import WRITERS, convert_for
from shoestring.costmodel.measure import Measured, measure
from shoestring.fitting.sessions import open_session
from shoestring.native.build import find_compiler
from shoestring.native.compiling import compile_library
from shoestring.native.targets import host_target
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shoestring.domain.cost import Cost

HOME, NATIVE = "onnxruntime", "native"
KINDS = ("fp32", "int8", "int8float")
REFERENCE = f"fp32 {HOME}"
SLOWEST_CHOICE = 1.05


@dataclass(frozen=True)
class Cell:
    """One runtime and precision.

    Args:
        name: `int8 ncnn`.
        runtime: that runs the file.
        path: of the file.
    """

    name: str
    runtime: str
    path: Path


@dataclass(frozen=True)
class Nearness:
    """To fp32 on ONNX Runtime: part of equal first classes (None for detectors), and worst SQNR of the outputs, dB."""

    agreement: float | None
    sqnr_db: float


def cells(
    folder: Path, model: str, runtimes: Sequence[str], threads: int, scratch: Path
) -> tuple[list[Cell], list[str]]:
    """Every cell that can be made, and why the others cannot."""
    made: list[Cell] = []
    failed: list[str] = []
    for kind in KINDS:
        source = folder / f"{model}_{kind}.onnx"
        if not source.exists():
            continue
        for runtime in runtimes:
            name = f"{kind} {runtime}"
            target = scratch / f"{model}-{kind}.{runtime}"
            try:
                if runtime == HOME:
                    target = source
                elif runtime == NATIVE:
                    machine = this_machine()
                    host = host_target(machine.isa, machine.arch)
                    find_compiler(host)
                    compile_library(source, model, host, threads, target)
                else:
                    disk.write_bytes(target, convert_for(runtime, source, kind[:4]).data)
            except ShoestringError as error:
                failed.append(f"{name}: {error.message}")
            else:
                made.append(Cell(name, runtime, target))
    return made, failed


def nearness(made: Sequence[Cell], photos: npt.NDArray[np.float32]) -> tuple[dict[str, Nearness], list[str]]:
    """How near each cell comes, and which ones do not answer."""
    found: dict[str, Nearness] = {}
    failed: list[str] = []
    wanted: list[dict[str, Any]] = []
    for cell in sorted(made, key=lambda one: one.name != REFERENCE):
        try:
            with open_session(cell.runtime, cell.path, 1) as session:
                (spec,) = session.inputs
                answers = [session.run({spec.name: photo[None]}) for photo in photos]
        except ShoestringError as error:
            failed.append(f"{cell.name}: {error.message}")
            continue
        wanted = wanted or answers
        found[cell.name] = _near(wanted, answers)
    return found, failed


def _near(wanted: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]) -> Nearness:
    worst = min(
        sqnr_db(*(np.concatenate([one[name].ravel() for one in side])[None] for side in (wanted, answers)))
        for name in wanted[0]
    )
    (first, *others) = wanted[0].values()
    if others or first.ndim != 2:
        return Nearness(None, worst)
    best = [[int(next(iter(one.values())).argmax()) for one in side] for side in (wanted, answers)]
    return Nearness(float(np.mean([left == right for left, right in zip(*best, strict=True)])), worst)


def table(costs: dict[str, Cost], near: dict[str, Nearness], threads: Sequence[int]) -> str:
    heads = ["", *(f"{count} thread(s): ms, to {REFERENCE}" for count in threads), "memory", "agreement", "SQNR dB"]
    rows = [heads]
    for name, cost in sorted(costs.items(), key=lambda item: item[1].at(None).median_ms):
        timed = [
            f"{one.median_ms:.3g}  {one.ratio_to_original:.2f} ({one.ratio_low:.2f}-{one.ratio_high:.2f})"
            for one in cost.timings
        ]
        agreement = near[name].agreement
        said = "" if agreement is None else f"{agreement:.0%}"
        rows.append([name, *timed, f"{cost.peak_rss_bytes / 1e6:.0f} MB", said, f"{near[name].sqnr_db:.1f}"])
    return align(rows)


def answers_table(near: dict[str, Nearness]) -> str:
    rows = [["", "agreement", "SQNR dB"]]
    for name, one in near.items():
        rows.append([name, "" if one.agreement is None else f"{one.agreement:.0%}", f"{one.sqnr_db:.1f}"])
    return align(rows)


def chosen(bundle: Path, scratch: Path) -> tuple[Cell, float | None]:
    """The chosen rung of a bundle as a cell, and the bundle's margin."""
    with open_bundle(bundle) as opened:
        rung = opened.manifest.ladder.rung(opened.manifest.ladder.chosen)
        path = scratch / "chosen"
        disk.write_bytes(path, opened.read(rung.candidate.artefact_sha256))
        return Cell(f"fit's choice ({rung.name})", rung.candidate.runtime, path), opened.manifest.budget.max_drop


def verdict(costs: dict[str, Cost], near: dict[str, Nearness], choice: str, margin: float) -> str:
    """Fit's choice against the fastest cell that keeps the margin of agreement."""
    able = {
        name: cost.at(None).median_ms
        for name, cost in costs.items()
        if name != choice and 1 - (near[name].agreement or 0.0) <= margin
    }
    best = min(able, key=able.__getitem__)
    ratio = costs[choice].at(None).median_ms / able[best]
    kept = "kept" if ratio <= SLOWEST_CHOICE else "missed"
    return f"{choice} takes {ratio:.2f} times as long as {best}: goal of at most {SLOWEST_CHOICE} {kept}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="as native_models.py writes it")
    parser.add_argument("--models", default="mobilenet_v2,efficientnet_lite0,yolov3_tiny", help="names with commas")
    parser.add_argument("--runtimes", default=",".join((HOME, NATIVE, *WRITERS)), help="names with commas between")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each cell and thread count")
    parser.add_argument("--photos", type=int, default=16, help="to compare answers on, at most")
    parser.add_argument("--no-timing", action="store_true", help="compare answers only")
    parser.add_argument("--bundle", type=Path, help="made by fit of the same model")
    given = parser.parse_args()
    threads = tuple(int(count) for count in given.threads.split(","))
    runtimes = [name for name in given.runtimes.split(",") if name in registry.installed()]
    machine = this_machine()
    print(f"{machine.name}, {machine.cores} cores: {', '.join(machine.isa)}")
    print(", ".join(f"{name} {registry.get(name).version()}" for name in runtimes))
    for model in given.models.split(","):
        with tempfile.TemporaryDirectory() as name:
            made, failed = cells(given.folder.expanduser(), model, runtimes, max(threads), Path(name))
            choice, margin = chosen(given.bundle, Path(name)) if given.bundle else (None, None)
            made += [choice] if choice else []
            near, silent = nearness(made, np.load(given.folder.expanduser() / f"{model}_photos.npy")[: given.photos])
            if given.no_timing:
                print(f"\n{model}, {given.photos} photographs at most\n{answers_table(near)}")
                print("\n".join(f"not there: {words}" for words in (*failed, *silent)))
                continue
            able = [
                Measured(one.name, one.path, one.runtime, one.path.stat().st_size) for one in made if one.name in near
            ]
            costs = measure(able, REFERENCE, threads, seconds_each=given.seconds)
            print(f"\n{model}\n{table(costs, near, threads)}")
            if choice and margin is not None:
                print(verdict(costs, near, choice.name, margin))
            print("\n".join(f"not there: {words}" for words in (*failed, *silent)))


if __name__ == "__main__":
    main()
