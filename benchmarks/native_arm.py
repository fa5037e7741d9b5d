"""Instructions and estimated cycles of one inference on emulated Arm boards: compiled programs, ONNX Runtime, LiteRT.

    python -m shoestring.proving.userland FOLDER numpy onnxruntime ai-edge-litert
    PYTHONPATH=tests python benchmarks/native_arm.py --userland FOLDER --onnx MODEL.onnx --tflite MODEL.tflite

MODEL.onnx is an int8 QDQ model; ONNX Runtime is given it as it is and with signed activations, and the better counts.
MODEL.tflite is the same network in int8; its weights do not change the count. One thread. Instructions are exact;
cycles are llvm-mca's (tests/emulation/cycles.py) and were calibrated on no board. Needs qemu-user, gcc and llvm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from emulation import boards, cycles
from shoestring.base import disk
from shoestring.base.errors import ShoestringError
from shoestring.native.targets import target_named
from shoestring.proving import guest
from shoestring.proving.cores import known_cores

GOALS = {"cortex-a72": 0.75, "cortex-a76": 0.65}
"""Core -> the most instructions that a compiled program may take, as a share of the best peer's."""
TARGETS = {
    "cortex-a53": "coral-dev-board",
    "cortex-a57": "jetson-nano",
    "cortex-a72": "raspberry-pi-4",
    "cortex-a76": "raspberry-pi-5",
}
GUEST = Path(__file__).resolve().parent / "native_arm_guest.py"
TIMES, SEED = 3, 0
OURS = "shoestring"


@dataclass(frozen=True)
class Row:
    """One engine on one core.

    Args:
        core: of the board.
        engine: and what it was given.
        instructions: of one inference, or None.
        cycles: estimated, or None.
        why_not: the reason where there is no count.
    """

    core: str
    engine: str
    instructions: int | None = None
    cycles: float | None = None
    why_not: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--userland", type=Path, required=True)
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--tflite", type=Path)
    parser.add_argument("--cores", nargs="+", choices=TARGETS, default=list(GOALS))
    parser.add_argument("--peers-only", action="store_true", help="leave the compiled program out")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        models = {"onnxruntime as given": ("onnxruntime", given.onnx)}
        models["onnxruntime signed"] = ("onnxruntime", signed_twin(given.onnx, Path(scratch) / "signed.onnx"))
        if given.tflite is not None:
            models["litert"] = ("litert", given.tflite)
        for core in given.cores:
            rows += [peer(core, name, engine, model, given.userland) for name, (engine, model) in models.items()]
            if not given.peers_only:
                rows.append(ours(core, given.onnx, Path(scratch)))
    print(table(rows))
    if given.out is not None:
        disk.write_text(given.out, json.dumps([asdict(row) for row in rows], indent=1))


def peer(core: str, name: str, engine: str, model: Path, userland: Path) -> Row:
    """A peer's inference, counted between marks."""
    options, script = guest.command(userland, known_cores()[core], [str(GUEST), engine, str(model.resolve())])
    try:
        counts = boards.counted([boards.CORES[core], *options], script, guest.environment())
    except subprocess.CalledProcessError as error:
        return Row(core, name, why_not=f"exit {error.returncode}")
    return counted_row(core, name, counts)


def ours(core: str, model: Path, scratch: Path) -> Row:
    """The compiled program's inference: what three more of them add."""
    from shoestring.native.compiling import build_runner, prepare

    try:
        program = prepare(model, "net")
        runner = scratch / f"{core}.run"
        build_runner(program, target_named(TARGETS[core]), 1, runner)
    except ShoestringError as error:
        return Row(core, OURS, why_not=error.message)
    random = np.random.default_rng(SEED)
    files = []
    for number, port in enumerate(program.inputs):
        shape = program.values[port.value].shape
        is_float = port.dtype == "float32"
        array = random.standard_normal(shape) if is_float else random.integers(0, 100, shape)
        files.append(scratch / f"{core}.in{number}")
        files[-1].write_bytes(array.astype(port.dtype).tobytes())
    files += [scratch / f"{core}.out{number}" for number in range(len(program.outputs))]
    once, more = (["--repeat", str(n), *map(str, files)] for n in (1, 1 + TIMES))
    try:
        counts = boards.counts_of_one_more(core, str(runner), once, more, TIMES)
    except subprocess.CalledProcessError as error:
        return Row(core, OURS, why_not=f"exit {error.returncode}")
    return counted_row(core, OURS, counts)


def counted_row(core: str, name: str, counts: Counter[boards.Block]) -> Row:
    """Instructions and cycles of counted blocks."""
    modelled = cycles.estimate(core, counts) if cycles.tool("llvm-mca") else None
    return Row(core, name, boards.instructions(counts), modelled and modelled.cycles)


def signed_twin(model: Path, out: Path) -> Path:
    """The same QDQ model with int8 for uint8: every unsigned zero point less 128. It answers the same."""
    proto = onnx.load(model)
    for item in proto.graph.initializer:
        array = numpy_helper.to_array(item)
        if array.dtype == np.uint8:
            item.CopyFrom(numpy_helper.from_array((array.astype(np.int16) - 128).astype(np.int8), item.name))
    del proto.graph.value_info[:]
    onnx.save(proto, out)
    return out


def table(rows: list[Row]) -> str:
    """Figures in millions, and ours as a share of the best peer's beside what it should be."""
    lines = [f"{'core':<12}{'engine':<24}{'instructions, M':>16}{'cycles, M':>12}"]
    for row in rows:
        figures = [row.instructions, row.cycles]
        words = ["-" if figure is None else f"{figure / 1e6:.2f}" for figure in figures]
        lines.append(f"{row.core:<12}{row.engine:<24}{words[0]:>16}{words[1]:>12}  {row.why_not}".rstrip())
    for core, goal in GOALS.items():
        mine = [row for row in rows if row.core == core and row.engine == OURS and row.instructions]
        peers = [row for row in rows if row.core == core and row.engine != OURS and row.instructions]
        if mine and peers:
            lines.append(f"{core}: {share(mine, peers, 'instructions')} of the best peer's instructions (goal {goal})")
            if all(row.cycles for row in (*mine, *peers)):
                lines.append(
                    f"{core}: {share(mine, peers, 'cycles')} of the best peer's estimated cycles (goal below 1)"
                )
    return "\n".join(lines)


def share(mine: list[Row], peers: list[Row], figure: str) -> str:
    return f"{getattr(mine[0], figure) / min(getattr(row, figure) for row in peers):.3f}"


if __name__ == "__main__":
    main()
