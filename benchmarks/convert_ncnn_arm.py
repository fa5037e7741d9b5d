"""The families of networks on ncnn, here and on emulated Arm boards: how far the answers are from ONNX Runtime's.

    python tests/boards/userland.py FOLDER numpy ncnn msgspec
    PYTHONPATH=tests python benchmarks/convert_ncnn_arm.py --userland FOLDER

Networks are those of tests/zoo.py, whose seeded weights forgive less than trained ones, and of tests/ncnn_nets.py.
Floats are held against ONNX Runtime on this machine, int8 against the QDQ graph as written, node by node in floats: the
root of the mean square of the differences as a part of that of the outputs; for the latter networks, codes that differ.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ncnn_nets
import zoo
from boards import guest
from ncnn_sides import Arrays, activation_steps, as_written, on_ort, quantized
from shoestring.convert.ncnn import convert

SOURCES = Path(__file__).resolve().parent.parent / "src"
GUEST = Path(__file__).resolve().parent / "convert_ncnn_guest.py"
HOST_ONLY = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
CORES = ("cortex-a53", "cortex-a72", "cortex-a76")
CALIBRATED_ON, JUDGED_ON, ROOM = 8, 2, 1.3
CODE_NETS = {one.__name__: one for one in (ncnn_nets.plain, ncnn_nets.depthwise, ncnn_nets.summed)}


@dataclass(frozen=True, eq=False)
class Case:
    """A file for ncnn with the answers it should give; `step` of the last scale where codes are counted."""

    stem: str
    data: bytes
    feeds: Arrays
    wanted: Arrays
    step: float | None = None


def family(name: str) -> list[Case]:
    """A network of the zoo in each precision."""
    model, feeds = zoo.NETS[name](), zoo.example_input(name, JUDGED_ON)
    integer = quantized(model, zoo.example_input(name, CALIBRATED_ON, seed=2))
    exact = on_ort(model, feeds)
    floats = [Case(f"{name} {kind}", convert(model, kind).data, feeds, exact) for kind in ("fp32", "fp16")]
    return [*floats, Case(f"{name} int8", convert(integer, "int8").data, feeds, as_written(integer, feeds))]


def counted(name: str) -> list[Case]:
    """A network whose codes are counted; ranges have room, so that the code ncnn does not have stays unused."""
    feeds = {"image": np.random.default_rng(8).standard_normal((4, 3, 16, 16)).astype(np.float32)}
    integer = quantized(CODE_NETS[name]().SerializeToString(), feeds, room=ROOM)
    step = activation_steps(integer)[-1]
    return [Case(f"{name} codes", convert(integer, "int8").data, feeds, as_written(integer, feeds), step)]


def judge(case: Case, found: Arrays) -> str:
    """One cell of the table."""
    if case.step is None:
        parts = [((found[n] - v) ** 2).mean() / (v**2).mean() for n, v in case.wanted.items()]
        return f"{np.sqrt(max(parts)):.1e}"
    name = next(iter(case.wanted))
    off = np.rint(found[name] / case.step) != np.rint(case.wanted[name] / case.step)
    return f"{off.sum()} of {off.size}"


def run(folder: Path, userland: Path | None, core: str) -> None:
    """All files in a process of their own: of this machine, or of an emulated core."""
    script = [str(GUEST), str(folder), str(SOURCES), core]
    environment = {name: value for name, value in os.environ.items() if name not in HOST_ONLY}
    if userland is None:
        subprocess.run([sys.executable, *script], check=True, env=environment)
        return
    options, program = guest.command(userland, core, script)
    subprocess.run(["qemu-aarch64-static", *options, *program], check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--userland", type=Path, required=True)
    parser.add_argument("--models", default=",".join((*CODE_NETS, *zoo.NETS)), help="names with commas between")
    arguments = parser.parse_args()
    cases = [case for name in arguments.models.split(",") for case in (counted if name in CODE_NETS else family)(name)]
    with tempfile.TemporaryDirectory(prefix="shoestring-ncnn-") as scratch:
        folder = Path(scratch)
        for number, case in enumerate(cases):
            (folder / f"{number}.ncnn").write_bytes(case.data)
            np.savez(folder / f"{number}.npz", **case.feeds)
        run(folder, None, "here")
        for core in CORES:
            run(folder, arguments.userland.resolve(), core)
        print(f"{'network':<28}" + "".join(f"{core:<14}" for core in ("here", *CORES)))
        for number, case in enumerate(cases):
            cells = [judge(case, dict(np.load(folder / f"{number}.{core}.npz"))) for core in ("here", *CORES)]
            print(f"{case.stem:<28}" + "".join(f"{cell:<14}" for cell in cells))


if __name__ == "__main__":
    main()
