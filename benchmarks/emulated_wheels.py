"""The wheels of `make boards`: which glibc each really needs, and whether it imports on each core."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from emulation import device, symbols
from shoestring.proving import userland

ENGINES = {
    "onnxruntime": "onnxruntime",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "ncnn": "ncnn",
    "openvino": "openvino",
}
"""Package -> what of it a device imports."""

BASE = {"numpy": "numpy", "msgspec": "msgspec", "pillow": "PIL.Image"}
SYSTEMS = {
    "Raspberry Pi OS 12": (2, 36),
    "Raspberry Pi OS 11": (2, 31),
    "Mendel 5 (Coral)": (2, 28),
    "JetPack 4 (Jetson Nano)": (2, 27),
}
"""System -> its glibc: Debian 12, 11 and 10 by their release notes, Ubuntu 18.04 by its own."""


def text(wheel: Path, root: Path, cores: Sequence[str], folder: Path) -> str:
    """Install the engines, and say what each wheel claims, needs and does."""
    device.install(root / "site", wheel, *(f"{name}=={_version(name)}" for name in ENGINES))
    found = _downloaded(folder / "wheels")
    heads = ["wheel", "its tag says", "its symbols need", *SYSTEMS, *(f"imports on {core}" for core in cores)]
    lines = ["### Wheels\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    packages = {**BASE, **ENGINES}
    on = {core: _imports(root, core, list(packages.values())) for core in cores}
    for place, package in enumerate(packages):
        file = found[package]
        needed, where = symbols.wheel_needs(file)
        claim = symbols.claimed(file.name)
        runs = ["yes" if needed is None or needed <= has else "no" for has in SYSTEMS.values()]
        imports = [on[core][place] for core in cores]
        said = f"{_words(needed)} ({Path(where).name})" if claim and needed and needed > claim else _words(needed)
        cells = [f"{package} {file.name.split('-')[1]}", _words(claim), said, *runs, *imports]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def _downloaded(folder: Path) -> dict[str, Path]:
    """The wheels themselves, for their symbols."""
    platforms = [
        f"manylinux_2_{minor}_aarch64" for minor in range(userland.NEWEST_GLIBC, userland.OLDEST_GLIBC - 1, -1)
    ]
    words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "--only-binary=:all:"]
    words += ["--implementation", "cp", "--python-version", userland.PYTHON]
    words += [word for name in (*platforms, "manylinux2014_aarch64") for word in ("--platform", name)]
    subprocess.run([*words, *(f"{name}=={_version(name)}" for name in {**BASE, **ENGINES})], check=True)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in {**BASE, **ENGINES}}


def _imports(root: Path, core: str, modules: Sequence[str]) -> list[str]:
    """Whether each module imports on a board: `yes`, or how it ended. Each in a process of its own."""
    script = (
        "import importlib, os, sys\n"
        "for name in sys.argv[1:]:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        importlib.import_module(name)\n"
        "        os._exit(0)\n"
        "    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "    print('ended', 128 - code if code < 0 else code, flush=True)\n"
    )
    ran = device.run(root, core, ["-c", script, *modules])
    codes = [line.split()[1] for line in ran.out.splitlines() if line.startswith("ended ")]
    return ["yes" if code == "0" else f"exit {code}" for code in codes]


def _words(version: tuple[int, int] | None) -> str:
    return "any" if version is None else f"{version[0]}.{version[1]}"
