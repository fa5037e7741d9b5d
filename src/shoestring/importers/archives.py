"""Zip archives as frameworks write them, looked at from outside: the table of contents only, nothing is unpacked."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_ARCHIVE_EXPANSION, MAX_ARCHIVE_MEMBERS, MAX_MODEL_BYTES
from shoestring.base.units import format_bytes

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["exported", "script", "pickle", "keras", "unknown"]
_DAMAGED = "the archive is damaged or hostile; save it again"
_ENCRYPTED = 1  # of the general purpose flags, APPNOTE.TXT 4.4.4

# What torch.export.save writes (torch/csrc/export/pt2_archive_constants.h), below one directory that has any name.
_EXPORTED = (
    r"archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)|\.format_version",
    r"\.storage_alignment",
    r"models/model\.json|data/sample_inputs/model\.pt|extra/[\w.-]+",
    r"data/weights/(weight_\d+|model_weights_config\.json)",
    r"data/constants/(tensor_\d+|model_constants_config\.json)",
)
# The same, saved by torch 2.6 and before: no common directory.
_EXPORTED_BEFORE = (
    r"version|extra_files/[\w.-]+|serialized_exported_program\.json",
    r"serialized_(state_dict|constants|example_inputs)\.pt",
)
_CUSTOM = re.compile(r"data/constants/(custom_obj|opaque_obj)_\d+")
_MAX_NAMED = 3
_RECORD_BYTES, _LOCATOR_BYTES, _END_BYTES = 56, 20, 22  # the last three things in an archive, before a comment
_TAIL_BYTES = _RECORD_BYTES + _LOCATOR_BYTES + _END_BYTES + (1 << 16)
_ENTRY_BYTES = 300  # 46 and a name, padded


@dataclass(frozen=True)
class Archive:
    """What an archive is by the names in it.

    Args:
        kind: what wrote it.
        members: how many files it holds.
        unpacked_bytes: of all of them.
    """

    kind: Kind
    members: int
    unpacked_bytes: int


def look(source: Path) -> Archive:
    """Read the table of contents and hold it to limits.

    Args:
        source: a zip file.

    Raises:
        ModelError: no sound archive, more or larger members than a model has, or, in an exported program, members that
            do not belong there.
    """
    try:
        _check_table(source)
        with zipfile.ZipFile(source) as archive:
            items = archive.infolist()
    # What zipfile raises on a damaged table: NotImplementedError for a version or packing it does not know,
    # UnicodeDecodeError for a name that is none, ValueError and EOFError for places outside the file.
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, EOFError) as error:
        raise ModelError(f"{source} is no sound zip archive: {error}", hint=_DAMAGED) from error
    except OSError as error:
        raise ModelError(f"cannot read {source}: {error.strerror or error}", hint="check its permissions") from error
    if len(items) > MAX_ARCHIVE_MEMBERS:
        raise ModelError(
            f"{source} holds {len(items)} files, more than the limit of {MAX_ARCHIVE_MEMBERS}", hint=_DAMAGED
        )
    _check_names(source, [item.filename for item in items])
    for item in items:
        _check_item(source, item)
    unpacked = sum(item.file_size for item in items)
    if unpacked > MAX_MODEL_BYTES:
        raise ModelError(
            f"{source} unpacks to {format_bytes(unpacked)}, more than the limit of {format_bytes(MAX_MODEL_BYTES)}",
            hint="a model of this size does not run on the boards we serve",
        )
    kind, names = _kind([item.filename for item in items])
    if kind == "exported":
        _check_exported(source, names, items)
    return Archive(kind, len(items), unpacked)


def _check_table(source: Path) -> None:
    """The table of contents may be as large as the file; reading it takes several times its size.

    APPNOTE.TXT 4.3.14 to 4.3.16. torch writes 64-bit records always; they must stand where they are written, so that
    every reader finds the same table.
    """
    with source.open("rb") as stream:
        start = max(0, stream.seek(0, 2) - _TAIL_BYTES)
        stream.seek(start)
        tail = stream.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END_BYTES:
        raise ModelError(f"{source} is no sound zip archive: its table of contents is missing", hint=_DAMAGED)
    (table_bytes,) = struct.unpack_from("<L", tail, place + 12)
    if place >= _LOCATOR_BYTES and tail[place - _LOCATOR_BYTES :].startswith(b"PK\x06\x07"):
        (offset,) = struct.unpack_from("<Q", tail, place - _LOCATOR_BYTES + 8)
        record = place - _LOCATOR_BYTES - _RECORD_BYTES
        if offset != start + record or record < 0 or not tail[record:].startswith(b"PK\x06\x06"):
            raise ModelError(f"{source} names a table of contents in an unusual place", hint=_DAMAGED)
        (table_bytes,) = struct.unpack_from("<Q", tail, record + 40)
    if table_bytes > MAX_ARCHIVE_MEMBERS * _ENTRY_BYTES:
        raise ModelError(
            f"{source} has a table of contents of {format_bytes(table_bytes)}, more than the limit of "
            f"{format_bytes(MAX_ARCHIVE_MEMBERS * _ENTRY_BYTES)}",
            hint=_DAMAGED,
        )


def _check_names(source: Path, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ModelError(f"{source} holds two files of one name", hint=_DAMAGED)
    for name in names:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
            raise ModelError(f"{source} holds a file with the name {name[:80]!r}", hint=_DAMAGED)


def _check_item(source: Path, item: zipfile.ZipInfo) -> None:
    mode = item.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ModelError(f"{source} holds {item.filename!r}, which is no plain file", hint=_DAMAGED)
    if item.flag_bits & _ENCRYPTED or item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"{source}: {item.filename!r} is encrypted or packed in an unusual way", hint=_DAMAGED)
    if item.file_size > MAX_ARCHIVE_EXPANSION * max(1, item.compress_size):
        raise ModelError(
            f"{source}: {item.filename!r} unpacks from {item.compress_size} to {item.file_size} bytes, more than "
            f"{MAX_ARCHIVE_EXPANSION} times",
            hint=_DAMAGED,
        )


def _kind(names: list[str]) -> tuple[Kind, list[str]]:
    """What it is, and the names below the common directory where the format has one."""
    if {"metadata.json", "config.json", "model.weights.h5"} <= set(names):
        return "keras", names
    if "serialized_exported_program.json" in names:
        return "exported", names
    roots = {name.split("/", 1)[0] for name in names}
    if len(roots) != 1 or not all("/" in name for name in names):
        return "unknown", names
    inside = [name.split("/", 1)[1] for name in names]
    if "archive_format" in inside or "models/model.json" in inside:
        return "exported", inside
    if "data.pkl" in inside:
        return ("script" if "constants.pkl" in inside else "pickle"), inside
    return "unknown", names


def _check_exported(source: Path, names: list[str], items: list[zipfile.ZipInfo]) -> None:
    custom = [name for name in names if _CUSTOM.fullmatch(name)]
    if custom:
        raise ModelError(
            f"{source} holds {len(custom)} objects of classes of their own ({custom[0]})",
            hint="export a model whose weights and constants are tensors",
        )
    before = "serialized_exported_program.json" in names
    known = re.compile("|".join(_EXPORTED_BEFORE if before else _EXPORTED))
    others = [name for name in names if not known.fullmatch(name)]
    if others:
        named = ", ".join(repr(name[:80]) for name in others[:_MAX_NAMED])
        raise ModelError(
            f"{source} holds {len(others)} files that torch.export.save does not write: {named}",
            hint="save the exported program again: torch.export.save(program, 'model.pt2')",
        )
    packed = [item.filename for item in items if item.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ModelError(f"{source}: {packed[0]!r} is compressed, as torch.export.save never does", hint=_DAMAGED)
