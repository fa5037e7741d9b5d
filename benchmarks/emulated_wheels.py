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
    for package, module in {**BASE, **ENGINES}.items():
        file = found[package]
        needed, where = symbols.wheel_needs(file)
        claim = symbols.claimed(file.name)
        runs = ["yes" if needed is None or needed <= has else "no" for has in SYSTEMS.values()]
        imports = [_imports(root, core, module) for core in cores]
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


def _imports(root: Path, core: str, module: str) -> str:
    ran = device.run(root, core, ["-c", f"import {module}"])
    if ran.code == 0:
        return "yes"
    said = ran.err.strip().splitlines()
    return f"exit {ran.code}" + (f": {said[-1][:120]}" if said else "")


def _words(version: tuple[int, int] | None) -> str:
    return "any" if version is None else f"{version[0]}.{version[1]}"
