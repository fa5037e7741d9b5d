"""What a program can be compiled for, read from targets.toml."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from shoestring.base import canonical
from shoestring.base.errors import UsageError

ANY_ARCH = "any"


@dataclass(frozen=True)
class Target:
    """One row of targets.toml.

    Args:
        name: as `--target` takes it.
        title: for people.
        arch: of the machine, by Linux's name (`uname -m`); `armv7em` for Cortex-M4 and M7, `any` for portable C.
        vector: which file kernels/vec_NAME.h the kernels are built on.
        signed: codes are stored as int8, shifted by 128.
        fused: float sums use a fused multiply-add.
        isa: instruction sets that the processor must have, by our names, sorted.
        system: `linux`, or `bare` for a microcontroller without an operating system.
        zig_triple: zig's name of the machine and its C library; `native` is the machine that compiles.
        zig_flags, gcc_flags: what tells zig's clang and gcc (or clang) the processor.
        why: one sentence.
        cross_cc: name of a gcc that compiles for it on other machines.
        emulator: words of a command that runs a program for it on other machines, or none.
    """

    name: str
    title: str
    arch: str
    vector: str
    signed: bool
    fused: bool
    isa: tuple[str, ...]
    system: Literal["linux", "bare"]
    zig_triple: str
    zig_flags: tuple[str, ...]
    why: str
    gcc_flags: tuple[str, ...] = ()
    cross_cc: str | None = None
    emulator: tuple[str, ...] = ()

    def runs_on(self, isa: Collection[str], arch: str) -> bool:
        """Whether a machine with these instruction sets and of this architecture runs its programs."""
        return self.system == "linux" and self.arch in (arch, ANY_ARCH) and set(self.isa) <= set(isa)


@dataclass(frozen=True)
class Alias:
    """Another name of a target, often that of a board."""

    name: str
    target: str


@dataclass(frozen=True)
class _File:
    target: tuple[Target, ...]
    alias: tuple[Alias, ...]


@functools.cache
def _file() -> _File:
    text = resources.files(__package__).joinpath("targets.toml").read_text(encoding="utf-8")
    return canonical.convert(tomllib.loads(text), _File, UsageError)


def targets() -> tuple[Target, ...]:
    """Every target; within an architecture the most specific first."""
    return _file().target


def aliases() -> tuple[Alias, ...]:
    """Other names of targets."""
    return _file().alias


def target_named(name: str) -> Target:
    """The target called `name`, by its own name or another one.

    Raises:
        UsageError: there is none.
    """
    own = next((alias.target for alias in aliases() if alias.name == name), name)
    for row in targets():
        if row.name == own:
            return row
    names = [row.name for row in targets()] + [alias.name for alias in aliases()]
    raise UsageError(f"no target {name!r}", hint=f"known: {', '.join(names)}")


def host_target(isa: Collection[str], arch: str) -> Target:
    """The best target for a machine.

    Args:
        isa: its instruction sets, by our names (`Machine.isa`).
        arch: its architecture, by Linux's name (`Machine.arch`).

    Returns:
        The most specific target that it runs; portable C where nothing else fits.
    """
    return next(row for row in targets() if row.runs_on(isa, arch))


__all__ = ["Alias", "Target", "aliases", "host_target", "target_named", "targets"]
