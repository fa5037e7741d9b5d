"""`make boards`: the device install of this checkout on emulated 64-bit Arm boards; writes docs/boards.md.

    PYTHONPATH=tests python benchmarks/emulated_boards.py [--write docs/boards.md]

Needs qemu-user-static, and the network for Debian's packages and PyPI's wheels. Time under emulation says nothing about
a board; answers do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import emulated_engines
import emulated_wheels
from emulation import device
from shoestring.base import disk
from shoestring.bundle import open_bundle
from shoestring.domain.budget import Budget
from shoestring.fitting import fit
from shoestring.inputs.spec import load_preprocess
from shoestring.proving import userland
from shoestring.proving.cores import known_cores
from shoestring.proving.emulator import emulator_version, find_emulator

ROOT = Path(__file__).resolve().parents[1]
MODEL, DATA = ROOT / "examples/cifar10_main.onnx", ROOT / "examples/cifar10"
MARK = "<!-- tables: written by make boards -->"
FIRST = "cortex-a72"
GOAL_SECONDS = 60
CHIP = "raspberry-pi-4b-4gb"
"""That the bundle is fitted for; its programs run on every 64-bit Arm."""

CORES = ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76")
RUNGS = {"cortex-a72": ("int8@native", "int8", "fp32@native")}
OTHER_RUNGS = ("int8@native",)
"""Rungs that boards run to the whole golden set; the engines' table has the others with fewer inputs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "out/boards", help="bundles and scratch files")
    parser.add_argument("--cache", type=Path, default=ROOT / "out/cache", help="finished steps of the fits")
    parser.add_argument("--cores", nargs="+", choices=CORES, default=list(CORES))
    parser.add_argument("--inputs", type=int, default=4, help="that every engine answers")
    parser.add_argument("--photos", type=int, default=4, help="that every rung answers")
    parser.add_argument("--write", type=Path, help="page whose tables are written anew")
    given = parser.parse_args()
    disk.make_directory(given.out)
    bundle = fit_bundle(given.out, given.cache)
    with tempfile.TemporaryDirectory(prefix="shoestring-boards-") as name:
        folder = Path(name)
        photos = sorted(DATA.rglob("*.png"))[:: 3000 // given.photos][: given.photos]
        seconds, root, wheel = first_inference(folder, bundle, photos[:1])
        parts = [start_text(seconds, root)]
        print(parts[-1], flush=True)
        parts.append(emulated_wheels.text(wheel, root, given.cores, folder))  # installs what the others run
        print(parts[-1], flush=True)
        with ThreadPoolExecutor() as pool:  # each waits for emulators
            later = [
                pool.submit(detector_text, root, given.cores),
                pool.submit(ladder_text, root, given.cores, bundle, photos),
                pool.submit(engines_text, root, given.cores, bundle, given.inputs, folder),
            ]
            for part in later:
                parts.append(part.result())
                print(parts[-1], flush=True)
    if given.write is not None:
        before, _, after = given.write.read_text().split(MARK)
        disk.write_text(given.write, f"{before}{MARK}\n" + "\n".join(parts) + f"{MARK}{after}")


def fit_bundle(out: Path, cache: Path) -> Path:
    """The example fitted for a board; finished steps are kept, and so is the bundle."""
    found = out / f"{CHIP}.shoe"
    if not found.exists():
        fit(
            MODEL,
            DATA,
            out=found,
            budget=Budget(max_drop=0.02),
            chip=CHIP,
            preprocess=load_preprocess(MODEL.with_suffix(".toml")),
            runtimes=("onnxruntime", "native"),
            cascade=False,
            cache=cache,
        )
    return found


def first_inference(folder: Path, bundle: Path, photos: Sequence[Path]) -> tuple[tuple[float, float], Path, Path]:
    """Seconds from nothing to the first answer on a board, by the clock and of the processor; userland and wheel."""
    wheel = device.build_wheel(folder)
    start, before = time.monotonic(), os.times()
    root = folder / "root"
    userland.make(root)
    device.install(root / "site", wheel, "onnxruntime")
    ran = run_rung(root, FIRST, bundle, OTHER_RUNGS[0], photos)
    seconds, after = time.monotonic() - start, os.times()
    busy = sum(after[:4]) - sum(before[:4])
    if ran.code != 0:
        raise SystemExit(f"the first inference failed: {ran.err}")
    return (seconds, busy), root, wheel


def run_rung(root: Path, core: str, bundle: Path, rung: str, photos: Sequence[Path]) -> device.Ran:
    """`shoestring run` on a board."""
    words = ["-m", "shoestring.cli.main", "run", str(bundle), *map(str, photos), "--rung", rung, "--threads", "1"]
    return device.run(root, core, [*words, "--json"])


def start_text(seconds: tuple[float, float], root: Path) -> str:
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    version = emulator_version(find_emulator())
    clock, busy = seconds
    machine = f"{os.cpu_count()} cores under a load of {os.getloadavg()[1]:.0f}"
    return (
        "From nothing to the first answer of a photo on an emulated Pi 4, downloads and golden set included: "
        f"**{clock:.0f} s** by the clock on {machine},\n{busy:.0f} s of the processor "
        f"(goal: under {GOAL_SECONDS} s on a free machine). The userland with the device install and ONNX Runtime\n"
        f"takes {size / 1e6:.0f} MB. Emulator: {version}.\n"
    )


def detector_text(root: Path, cores: Sequence[str]) -> str:
    """A program with one `sdot` must die where the core has none."""
    lines = [
        "### Illegal instructions are caught\n",
        "| core | a program with one `sdot` | as it must be |",
        "|---|---|---|",
    ]
    for core in cores:
        ran = device.run(root, core, ["-c", device.SDOT])
        has = "asimddp" in known_cores()[core].features
        ended = "ran" if ran.code == 0 else f"exit {ran.code}" + (" (SIGILL)" if ran.code == device.ILLEGAL else "")
        right = ran.code == (0 if has else device.ILLEGAL)
        lines.append(f"| {core} | {ended} | {'yes' if right else '**no**'} |")
    return "\n".join(lines) + "\n"


def ladder_text(root: Path, cores: Sequence[str], bundle: Path, photos: Sequence[Path]) -> str:
    """The ladder through `shoestring run`: the golden set is replayed, then photos are answered."""
    lines = [f"### The ladder of a bundle for {CHIP}, by `shoestring run`\n"]
    lines += ["| core | rung | golden set | photos as fp32 here |", "|---|---|---|---|"]
    here = subprocess.run(
        [sys.executable, "-m", "shoestring.cli.main", "run", bundle, *photos, "--rung", "fp32", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = _labels(here.stdout)
    with open_bundle(bundle) as opened:
        rungs = [rung.name for rung in opened.manifest.ladder.rungs]
    for core in cores:
        for rung in [one for one in RUNGS.get(core, OTHER_RUNGS) if one in rungs]:
            ran = run_rung(root, core, bundle, rung, photos)
            if ran.code != 0:
                said = ran.err.strip().splitlines()
                cells = (f"exit {ran.code}: {said[0] if said else 'no last words'}", "-")
            else:
                same = sum(one == other for one, other in zip(_labels(ran.out), wanted, strict=True))
                cells = ("replayed", f"{same} of {len(wanted)}")
            lines.append(f"| {core} | {rung} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _labels(text: str) -> list[str]:
    return [row["top"][0]["label"] for row in json.loads(text)["answers"]]


def engines_text(root: Path, cores: Sequence[str], bundle: Path, count: int, folder: Path) -> str:
    """Every engine's answers there against here, one line an engine and precision."""
    inputs, subjects = emulated_engines.prepare(bundle, count, cores, folder)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = [pool.submit(emulated_engines.ask, root, core, inputs, subjects, folder) for core in cores]
        rows = {core: one.result() for core, one in zip(cores, asked, strict=True)}
    lines = [f"### Engines: {count} inputs there against here\n", f"| engine | {' | '.join(cores)} |"]
    lines.append("|---" * (len(cores) + 1) + "|")
    for place, subject in enumerate(subjects):
        words = [rows[core][place].words for core in cores]
        cells = [words[0] + " (all)"] + ['"'] * (len(words) - 1) if len(set(words)) == 1 and len(words) > 1 else words
        lines.append(f"| {subject.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
