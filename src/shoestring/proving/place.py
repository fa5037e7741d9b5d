"""Where a rung can be asked on a chip's instruction set: on this machine when it is one, else emulated."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.chips.host import this_machine
from shoestring.proving import userland
from shoestring.proving.cores import Core, core_of
from shoestring.proving.emulator import emulator_version, find_emulator
from shoestring.proving.guest import command, environment

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip
    from shoestring.domain.cost import Machine
    from shoestring.domain.ladder import Rung

BASE = ("numpy", "msgspec", "pillow")
"""What the device side imports when it answers images."""

WHEELS: Mapping[str, str | None] = {
    "native": None,
    "null": None,
    "onnxruntime": "onnxruntime",
    "litert": "ai-edge-litert",
    "ncnn": "ncnn",
    "openvino": "openvino",
}
"""Runtime -> the package on PyPI that brings it to 64-bit Arm, or None when it needs none."""

X86_SIGNS = ("sse4_1", "avx2")
OURSELVES = Path(__file__).parents[1]
"""The folder of our own package."""


@dataclass(frozen=True)
class Place:
    """How to start Python there.

    Args:
        chip: its name.
        core: as its maker names it.
        emulator: name and version; empty on the board itself.
        words: command, without the script and its arguments.
        env: variables of the process.
    """

    chip: str
    core: str
    emulator: str
    words: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)


def is_here(chip: Chip, machine: Machine) -> bool:
    """Whether this machine has the chip's instruction sets, no more and no less, and its kind of core."""
    if set(chip.isa) != set(machine.isa) or not chip.isa:
        return False
    is_x86 = machine.arch == "x86_64"
    if bool(set(X86_SIGNS) & set(chip.isa)) != is_x86:
        return False
    return is_x86 or any(cluster.core in machine.name for cluster in chip.clusters)


@contextmanager
def open_place(chip: Chip, rung: Rung, cache: Path | None = None) -> Iterator[Place]:
    """The place where `rung` can be asked on the instruction set of `chip`.

    Args:
        chip: of the catalogue.
        rung: whose runtime is installed there, in the version that scored it.
        cache: root of the cache that holds the userland; None takes the user's.

    Raises:
        UsageError: the chip can be neither found here nor emulated, QEMU or apt is missing, or no wheel is known.
        ChildError: Debian or PyPI did not give what the userland needs.
    """
    machine = this_machine()
    if is_here(chip, machine):
        yield Place(chip.name, chip.clusters[0].core, "", (sys.executable,), environment() | _own_paths())
        return
    if "asimd" not in chip.isa:
        raise UsageError(
            f"{chip.name} cannot be emulated, and this machine ({', '.join(machine.isa) or machine.arch}) is not one "
            f"({', '.join(chip.isa) or chip.kind}): only 64-bit Arm boards are emulated",
            hint="run shoestring prove on the board itself",
        )
    core, wanted = core_of(chip), [*base_packages(), *runtime_package(rung)]
    with emulated(core, wanted, chip.name, cache) as place:
        yield place


@contextmanager
def emulated(core: Core, packages: Sequence[str], chip: str, cache: Path | None = None) -> Iterator[Place]:
    """A userland with these wheels and our own sources, on an emulated core.

    Args:
        core: to emulate.
        packages: requirements with exact versions.
        chip: name of the board it stands for.
        cache: as in `open_place`.

    Raises:
        UsageError, ChildError: as in `open_place`.
    """
    qemu = find_emulator()
    root = userland.cached(cache)
    site = userland.cached_site(packages, cache)
    with tempfile.TemporaryDirectory(prefix="shoestring-own-") as name:
        with disk.storage_errors(Path(name)):
            (Path(name) / "shoestring").symlink_to(OURSELVES)
        options, script = command(root, core, (), (Path(name), site))
        yield Place(
            chip, core.maker, f"{emulator_version(qemu)} as {core.name}", (qemu, *options, *script), environment()
        )


def base_packages() -> list[str]:
    """The device side's packages, in the versions of this installation: the processor is then all that differs."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in BASE]


def runtime_package(rung: Rung) -> list[str]:
    """The wheel of the rung's runtime, in the version that scored it.

    Raises:
        UsageError: there is none for 64-bit Arm.
    """
    runtime, version = rung.candidate.runtime, rung.candidate.runtime_version
    if runtime not in WHEELS:
        raise UsageError(
            f"rung {rung.name!r} runs on {runtime}, for which there is no wheel for 64-bit Arm",
            hint=f"there is for {', '.join(WHEELS)}; or run shoestring prove on the board itself",
        )
    package = WHEELS[runtime]
    if package is None:
        return []
    found = re.match(r"\d+(\.\w+)*", version)
    if found is None:
        raise UsageError(f"rung {rung.name!r} was scored by {runtime} {version!r}, which is no version of {package}")
    return [f"{package}=={found[0]}"]


def _own_paths() -> dict[str, str]:
    """Our own sources for another Python process of this installation, wherever they lie."""
    return {"PYTHONPATH": str(OURSELVES.parent)}


__all__ = ["BASE", "WHEELS", "Place", "base_packages", "emulated", "is_here", "open_place", "runtime_package"]
