"""Cores that can be emulated, as data (`cores.toml`): what Linux says on a board that has them."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip


@dataclass(frozen=True)
class Core:
    """A core, on a board that has four of them or so.

    Args:
        name: QEMU's: `cortex-a72`.
        maker: its maker's: `Cortex-A72`.
        model: of the board, as Linux shows it.
        part, variant, revision: of the core's identification register.
        features: flags in /proc/cpuinfo.
        mhz: highest clock.
        caches_kib: first-level data, first-level instructions, second level.
        cores: how many.
    """

    name: str
    maker: str
    model: str
    part: int
    variant: int
    revision: int
    features: str
    mhz: int
    caches_kib: tuple[int, int, int]
    cores: int


@dataclass(frozen=True)
class _File:
    core: tuple[Core, ...]


@functools.cache
def known_cores() -> dict[str, Core]:
    """Every core by its name."""
    text = resources.files(__package__).joinpath("cores.toml").read_text(encoding="utf-8")
    return {core.name: core for core in canonical.convert(tomllib.loads(text), _File, UsageError).core}


def core_of(chip: Chip) -> Core:
    """The core that a chip's network would run on: that of its first cluster.

    Raises:
        UsageError: the chip has none that can be emulated.
    """
    makers = [cluster.core for cluster in chip.clusters]
    for core in known_cores().values():
        if makers and core.maker == makers[0]:
            return core
    known = ", ".join(core.maker for core in known_cores().values())
    raise UsageError(
        f"{chip.name} cannot be emulated: its cores are {', '.join(makers) or 'none'}, emulated are {known}",
        hint="run shoestring prove on the board itself",
    )


__all__ = ["Core", "core_of", "known_cores"]
