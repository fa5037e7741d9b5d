"""Instructions and estimated cycles of one inference by engine, precision and core; and what such cycles are worth.

    PYTHONPATH=tests python benchmarks/boards.py --arm ARM.shoe [--write docs/boards.md]

The bundle is the one that `make boards` leaves in out/boards. One thread, counted between marks after a warm-up, our
adapter's own Python included. Instructions are exact but for what an engine decides by a clock; cycles are llvm-mca's,
each block alone in its steady state, with every load in the first cache: calibrated on no board. The second table holds
them against published latencies of the same networks on ncnn. Needs qemu-user, gcc and llvm.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import emulated_engines
import emulated_wheels
import networks
from emulation import boards, cycles, device
from shoestring.base import disk
from shoestring.base.errors import ShoestringError
from shoestring.chips.published import published_networks, published_rows
from shoestring.convert import ncnn
from shoestring.importers import import_model
from shoestring.proving import guest
from shoestring.proving import userland as userland_
from shoestring.proving.cores import known_cores

GUEST = Path(__file__).with_name("boards_guest.py")
MARK = "<!-- counts: written by benchmarks/boards.py -->"
CORES = ("cortex-a53", "cortex-a72", "cortex-a76")
WARM_UP = 2
NETWORKS = {
    "squeezenet": ("squeezenet", 227),
    "mobilenet": ("mobilenet", 224),
    "mobilenet_v2": ("mobilenet_v2", 224),
    "shufflenet_v2": ("shufflenet_v2", 224),
    "efficientnet_b0": ("efficientnet_b0", 224),
    "resnet18": ("resnet18", 224),
}
"""Name in the published rows -> the builder in tests/networks.py, and the side of its input in pixels."""

BOARDS = {"rpi4b": ("cortex-a72", "fp32", 1.8), "rpi5": ("cortex-a76", "fp16", 2.4)}
"""Chip of the rows -> core, precision of the rows, clock in GHz that they were measured at."""


@dataclass(frozen=True)
class Counted:
    """One inference.

    Args:
        instructions: that ran.
        cycles: estimated.
    """

    instructions: int
    cycles: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--userland", type=Path, help="with the device install and the engines; None makes one")
    parser.add_argument("--arm", type=Path, required=True, help="bundle of a fit for an Arm chip")
    parser.add_argument("--cores", nargs="*", choices=CORES, default=list(CORES))
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--write", type=Path, help="page whose table is written anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoestring-counts-") as name:
        folder = Path(name)
        userland = given.userland or made(folder)
        parts = []
        if given.cores:
            parts.append(engines_text(userland, given.arm, given.cores, folder))
        if given.networks:
            parts.append(worth_text(userland, given.networks, folder))
        text = "\n".join(parts)
        print(text, flush=True)
    if given.write is not None:
        before, _, after = given.write.read_text().split(MARK)
        disk.write_text(given.write, f"{before}{MARK}\n{text}{MARK}{after}")


def made(folder: Path) -> Path:
    """A userland with the device install of this checkout and the engines, in the versions installed here."""
    root = folder / "root"
    userland_.make(root)
    wanted = [f"{name}=={version(name)}" for name in emulated_wheels.ENGINES]
    device.install(root / "site", device.build_wheel(folder), *wanted)
    return root


def count(userland: Path, core: str, engine: str, file: Path, inputs: Path, warm_up: int = WARM_UP) -> Counted | str:
    """One inference on one core, or why there is none."""
    script = [str(GUEST), engine, str(file), str(inputs), str(warm_up)]
    options, program = guest.command(userland, known_cores()[core], script)
    try:
        counts = boards.counted([boards.CORES[core], *options], program, guest.environment())
    except subprocess.CalledProcessError as error:
        return f"exit {error.returncode}"
    return Counted(boards.instructions(counts), cycles.estimate(core, counts).cycles)


def engines_text(userland: Path, arm: Path, cores: list[str], folder: Path) -> str:
    """The example network in every engine."""
    inputs, subjects = emulated_engines.prepare(arm, 1, cores, folder)
    heads = [f"{core}: {what}" for core in cores for what in ("instructions, M", "cycles, M")]
    lines = [f"| engine | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for subject in subjects:
        cells = []
        for core in cores:
            found: Counted | str = subject.why_not
            if subject.files:
                file = subject.files.get(core, subject.files[""])
                found = count(userland, core, subject.engine, file, inputs)
            cells += [found, "-"] if isinstance(found, str) else [_m(found.instructions), _m(found.cycles)]
        lines.append(f"| {subject.name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def worth_text(userland: Path, names: list[str], folder: Path) -> str:
    """Published milliseconds against estimated ones, and what is left when a board's factor is taken out."""
    lines = [
        "| board | network | published | cycles at the clock | MACs, M | published / estimated | published ps a MAC |"
    ]
    lines.append("|---" * 7 + "|")
    summaries = []
    for chip, (core, precision, ghz) in BOARDS.items():
        by_cycles, by_macs = [], []
        for name in names:
            published = published_ms(chip, name, precision)
            found = count_network(userland, core, name, precision, folder)
            if published is None or isinstance(found, str):
                lines.append(f"| {chip} | {name} | {'none' if published is None else published} | {found} | | | |")
                continue
            estimated, macs = found.cycles / ghz / 1e6, macs_of(name)
            by_cycles.append(published / estimated)
            by_macs.append(published / macs * 1e9)
            cells = (
                f"{published:.1f} ms",
                f"{estimated:.1f} ms",
                _m(macs),
                f"{by_cycles[-1]:.2f}",
                f"{by_macs[-1]:.0f}",
            )
            lines.append(f"| {chip} | {name} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        if len(by_cycles) > 2:
            factor, by, plain = statistics.geometric_mean(by_cycles), left_out(by_cycles), left_out(by_macs)
            summaries.append(
                f"{chip}, {len(by_cycles)} networks on ncnn in {precision}, one thread: the board takes {factor:.2f} "
                f"times the estimate. With that factor learnt from the other networks, estimated cycles are off by "
                f"{100 * by:.0f} % in the median; a constant time a MAC, learnt likewise, by {100 * plain:.0f} %."
            )
    return "\n".join([*lines, "", *(f"- {words}" for words in summaries)]) + "\n"


def published_ms(chip: str, name: str, precision: str) -> float | None:
    """The newest published latency on ncnn with one thread, milliseconds."""
    rows = [
        row
        for row in published_rows()
        if (row.chip, row.model, row.runtime, row.precision, row.threads) == (chip, name, "ncnn", precision, 1)
    ]
    return max(rows, key=lambda row: row.date).latency_ms if rows else None


def count_network(userland: Path, core: str, name: str, precision: str, folder: Path) -> Counted | str:
    """A network with random weights: they change no instruction of a convolution."""
    builder, side = NETWORKS[name]
    model, inputs = folder / f"{name}-{precision}", folder / f"{side}.npy"
    try:
        onnx.save(with_weights(getattr(networks, builder)()), folder / f"{name}.onnx")
        imported = import_model(folder / f"{name}.onnx", folder / f"{name}.imported.onnx")
        model.write_bytes(ncnn.convert(imported.path, precision).data)
    except ShoestringError as error:
        return error.message
    np.save(inputs, np.random.default_rng(0).standard_normal((1, 3, side, side)).astype(np.float32))
    return count(userland, core, "ncnn", model, inputs, warm_up=1)


def with_weights(proto: Any, seed: int = 0) -> Any:
    """The network with weights of the usual spread in place of those that lie in a file nobody has."""
    random = np.random.default_rng(seed)
    for item in proto.graph.initializer:
        if item.data_location == onnx.TensorProto.EXTERNAL:
            shape = tuple(item.dims)
            spread = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
            values = (spread * random.standard_normal(shape)).astype(np.float32)
            item.CopyFrom(onnx.numpy_helper.from_array(values, item.name))
    return proto


def macs_of(name: str) -> int:
    """Multiply-accumulates of the published network."""
    features = next(found for (model, _), found in published_networks().items() if model == name)
    return features.macs


def left_out(ratios: list[float]) -> float:
    """Median error of each network when the board's factor is the geometric mean of the others' ratios."""
    errors = []
    for place, ratio in enumerate(ratios):
        others = statistics.geometric_mean(ratios[:place] + ratios[place + 1 :])
        errors.append(math.exp(abs(math.log(ratio / others))) - 1)
    return statistics.median(errors)


def _m(number: float) -> str:
    return f"{number / 1e6:.2f}" if number < 1e8 else f"{number / 1e6:.0f}"


if __name__ == "__main__":
    main()
