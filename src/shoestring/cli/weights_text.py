"""What `shoestring inspect` says of a file of weights."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.weights import Metadata, WeightsFile

_MAX_SHOWN = 60


def show(arguments: argparse.Namespace) -> int:
    """Read the header and print it. Returns the exit code."""
    from shoestring.cli import console
    from shoestring.importers.importing import not_closed
    from shoestring.importers.weights import read_weights

    found, lacking = read_weights(arguments.target, require_quarantine=arguments.require_quarantine)
    if lacking is not None:
        console.say(not_closed(lacking))
    if arguments.json:
        figures = {"parameters": found.parameters, "bytes_by_type": found.bytes_by_type}
        console.show_json({"name": arguments.target.name, **figures, "weights": found})
        return 0
    head(found)
    if found.metadata:
        console.show_table(("key", "value"), [(key, shown(value)) for key, value in found.metadata.items()])
    if arguments.layers:
        _tensors(found)
    return 0


def head(found: WeightsFile) -> None:
    """The first lines: format, architecture, counts and bytes."""
    from shoestring.base.units import format_bytes, format_count

    version = f" version {found.version}" if found.version else ""
    print(f"{'format':<14}{found.format}{version}" + (f" in {len(found.files)} files" if found.files else ""))
    if found.architecture is not None:
        print(f"{'architecture':<14}{shown(found.architecture)}")
    stored = sum(found.bytes_by_type.values())
    print(f"{'tensors':<14}{len(found.tensors):,}")
    print(f"{'parameters':<14}{format_count(found.parameters)} ({format_bytes(stored)})")
    if found.parameters:
        print(f"{'bits a number':<14}{8 * stored / found.parameters:.2f}")
    types = ", ".join(f"{name} {format_bytes(size)}" for name, size in found.bytes_by_type.items())
    print(f"{'stored as':<14}{types or 'nothing'}")
    print(f"{'header':<14}{format_bytes(found.header_bytes)} of {format_bytes(found.file_bytes)}")
    if found.unused_bytes:
        print(f"{'unused':<14}{format_bytes(found.unused_bytes)} after the last tensor")


def shown(value: Metadata) -> str:
    """A value on one line, of limited length; what could move a cursor is escaped."""
    from shoestring.domain.weights import LongList

    if isinstance(value, LongList):
        first = ", ".join(shown(one) for one in value.first[:3])
        return f"{value.count:,} {value.type}: {first}{', ...' if value.count > len(value.first[:3]) else ''}"
    text = value if isinstance(value, str) else str(value)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} ..."


def _tensors(found: WeightsFile) -> None:
    from shoestring.base.units import format_bytes
    from shoestring.cli.console import show_table

    rows = [
        (tensor.name, tensor.type, "x".join(map(str, tensor.shape)), format_bytes(tensor.size_bytes), tensor.file)
        for tensor in found.tensors
    ]
    columns = ("tensor", "type", "shape", "bytes", "file")
    width = 5 if found.files else 4
    show_table(columns[:width], [row[:width] for row in rows], right=frozenset({3}))
