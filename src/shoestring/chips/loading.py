"""Reads chip files: the catalogue that comes with us, the user's own folder, and one file by name."""

from __future__ import annotations

import difflib
import functools
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base import canonical
from shoestring.base.errors import UsageError
from shoestring.chips.operators import operator_set
from shoestring.chips.schema import check_chip
from shoestring.domain.chip import Chip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

LISTS = ("rows", "host", "isa", "clusters", "peaks", "precisions", "accelerators", "runtimes", "coolings")
ABSENT: dict[str, Any] = {
    **{key: [] for key in (*LISTS, "throttle", "notes")},
    **dict.fromkeys(
        ("isa_source", "memory", "usable", "bandwidth", "power", "ambient_low", "ambient_high", "price", "hourly")
    ),
}
"""What a file that leaves a key out means by it."""

STATED = ("value", "source", "date", "status")
MAX_BYTES = 1_000_000  # a chip file has some ten thousand
MAX_DEPTH = 8  # of files that each say `like`
NEAREST = 3


def load_chip(path: Path) -> Chip:
    """Read one chip file.

    Args:
        path: a TOML file; `like` names a chip beside it or in the catalogue.

    Raises:
        UsageError: the file cannot be read, is not TOML, or breaks a rule; says which.
    """
    return _load(path, {**_files(_shipped()), **_files(path.parent)})


def catalogue(own: Path | None = None) -> dict[str, Chip]:
    """Every chip we know, by name: those that come with us, then the user's own.

    Args:
        own: folder of the user's chip files; None for `$XDG_CONFIG_HOME/shoestring/chips`.

    Raises:
        UsageError: a file breaks a rule, or takes a name of the catalogue.
    """
    chips = shipped_catalogue()
    folder = own_folder() if own is None else own
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
        chip = load_chip(path)
        _refuse_clash(chip, chips, path)
        chips[chip.name] = chip
    _check_hosts(chips)
    return chips


def own_folder() -> Path:
    """Where the user keeps chip files: `$XDG_CONFIG_HOME/shoestring/chips`, in `~/.config` when that is not set."""
    root = os.environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "shoestring" / "chips"


def chip_named(name: str | None, chip_file: Path | None = None) -> Chip:
    """The chip called `name`.

    Args:
        name: in the catalogue, the user's folder or `chip_file`; None for the chip of `chip_file`.
        chip_file: one more chip.

    Raises:
        UsageError: no such chip (the hint has the nearest names), or a file breaks a rule.
    """
    chips = with_file(catalogue(), chip_file)
    if name is None and chip_file is not None:
        return next(reversed(chips.values()))
    if name is None:
        raise UsageError("no chip was named", hint="shoestring chips lists them")
    if name in chips:
        return chips[name]
    near = difflib.get_close_matches(name.lower(), chips, n=NEAREST, cutoff=0.5)
    near = near or [known for known in chips if name.lower() in known][:NEAREST]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"chip {name!r} is not in the catalogue of {len(chips)}",
        hint=f"{hint}`shoestring chips` lists them, --chip-file FILE adds one",
    )


def with_file(chips: Mapping[str, Chip], chip_file: Path | None) -> dict[str, Chip]:
    """The chips and, as the last of them, that of `chip_file`.

    Raises:
        UsageError: the file breaks a rule, takes a name that is in use, or names a host that nobody knows.
    """
    found = dict(chips)
    if chip_file is not None:
        chip = load_chip(chip_file)
        _refuse_clash(chip, found, chip_file)
        found[chip.name] = chip
        _check_hosts(found)
    return found


def shipped_catalogue() -> dict[str, Chip]:
    """The chips that come with us, by name."""
    return dict(_catalogue())


@functools.cache
def _catalogue() -> dict[str, Chip]:
    files = _files(_shipped())
    chips = {}
    for stem, file in sorted(files.items()):
        chip = _load(file, files)
        if chip.name != stem:
            raise UsageError(f"{file.name}: name is {chip.name!r}; the file is called {stem!r}")
        chips[chip.name] = chip
    _check_hosts(chips)
    return chips


def _shipped() -> Traversable:
    return resources.files("shoestring.chips").joinpath("catalogue")


def _files(folder: Traversable) -> dict[str, Traversable]:
    if not folder.is_dir():
        return {}
    return {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}


def _load(file: Traversable, beside: Mapping[str, Traversable]) -> Chip:
    table = {**ABSENT, **_merged(file, beside, ())}
    _check_complete(table, "", file.name)
    table["accelerators"] = [_with_operators(one, file.name) for one in _tables(table["accelerators"])]

    def refuse(words: str) -> UsageError:
        return UsageError(f"{file.name}: {words}", hint="docs/chips.md says how to write a chip file")

    chip = canonical.convert(table, Chip, refuse)
    check_chip(chip, file.name)
    return chip


def _merged(file: Traversable, beside: Mapping[str, Traversable], behind: tuple[str, ...]) -> dict[str, Any]:
    """The file's own keys over those of the chip that `like` names."""
    table = _parsed(file)
    like = table.pop("like", None)
    if like is None:
        return table
    chain = (*behind, file.name)
    if like not in beside:
        raise UsageError(f"{file.name}: like is {like!r}, which is no chip of the catalogue or beside the file")
    if beside[like].name in chain or len(chain) > MAX_DEPTH:
        raise UsageError(f"{file.name}: like goes round in a circle: {' -> '.join((*chain, beside[like].name))}")
    return {**_merged(beside[like], beside, chain), **table}


def _parsed(file: Traversable) -> dict[str, Any]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read chip file {file}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{file.name}: {len(data):,} bytes; a chip file has at most {MAX_BYTES:,}")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file.name}: not TOML: {error}") from None


def _check_complete(value: object, path: str, where: str) -> None:
    """Name the figure that lacks its source, before types are looked at: a table with a value must state the rest."""
    if isinstance(value, dict):
        if "value" in value:
            missing = [key for key in STATED if key not in value]
            if missing:
                raise UsageError(
                    f"{where}: {path} has no {' and no '.join(missing)}",
                    hint='every figure says where it comes from: source = "...", date = "2026-11-23", '
                    'status = "datasheet", "measured", "derived" or "unverified"',
                )
        for key, inner in value.items():
            _check_complete(inner, f"{path}.{key}".lstrip("."), where)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_complete(inner, f"{path}.{i}", where)


def _tables(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _with_operators(table: Any, where: str) -> Any:
    """Fill in the list that `operators = "edge-tpu"` names."""
    if not isinstance(table, dict) or not isinstance(table.get("operators"), str):
        return table
    try:
        found = operator_set(table["operators"])
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
    rest = {"outside": found.outside, "source": canonical.plain(found.source), "listed": found.name}
    return {**rest, **table, "operators": sorted((*found.operators, *found.absorbed))}


def _refuse_clash(chip: Chip, chips: Mapping[str, Chip], path: Path) -> None:
    if chip.name in chips:
        raise UsageError(f"{path}: the name {chip.name!r} is taken", hint="give the chip another name")


def _check_hosts(chips: Mapping[str, Chip]) -> None:
    for chip in chips.values():
        for name in chip.host:
            if name not in chips:
                raise UsageError(f"chip {chip.name}: host {name!r} is not in the catalogue")
            if name == chip.name:
                raise UsageError(f"chip {chip.name}: host {name!r} is the chip itself")


__all__ = ["catalogue", "chip_named", "load_chip", "own_folder", "shipped_catalogue", "with_file"]
