"""The probe on another board over ssh: our sources go there for as long as it takes, two small tables come back."""

from __future__ import annotations

import contextlib
import io
import shlex
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shoestring.base import disk
from shoestring.base.errors import ChildCrashedError, ShoestringError
from shoestring.chips.loading import load_chip
from shoestring.chips.own_rows import networks_path
from shoestring.chips.rows import read_rows
from shoestring.probing.ssh import Board, RemoteError, check_python, remove, send_ourselves, shell_path

SECONDS = 300.0
"""A probe takes less than three minutes; a slow board's start and a slow link come on top."""

MOST_BYTES = 8_000_000  # of what comes back: a chip file and two tables have less than a tenth of it


@dataclass(frozen=True)
class Fetched:
    """What a probe elsewhere wrote here.

    Args:
        written: chip file, rows, networks.
        rows: how many.
    """

    written: tuple[Path, ...]
    rows: int


def probe_board(
    board: Board,
    out: Path,
    rows_path: Path,
    *,
    python: str = "python3",
    flags: tuple[str, ...] = (),
    heard: Callable[[str], None] = lambda _: None,
) -> Fetched:
    """Probe a board and bring its chip file, rows and networks here. What was there before stays until all has come.

    Args:
        board: where.
        out: chip file to write; its stem names the chip.
        rows_path: rows to write.
        python: interpreter there; `~/` is its home.
        flags: of the probe there.
        heard: told what the probe says.

    Raises:
        UsageError: not reachable, refused, or lacks something that can be installed.
        ChildError: the connection was cut, the probe there failed, or took too long.
        StorageError: a disk refused.
    """
    check_python(board, python)
    heard(f"sending our sources to {board.host}")
    folder = send_ourselves(board)
    try:
        there = shlex.quote(folder)
        command = shlex.join(["-m", "shoestring.cli.main", "probe", "-o", f"{folder}/{out.name}", *flags])
        board.run(
            f"cd {there} && NO_COLOR=1 TMPDIR={there} PYTHONPATH={there} {shell_path(python)} {command}",
            seconds=SECONDS,
            heard=heard,
        )
        packed = board.run(f"cd {shlex.quote(folder)} && tar -cf - {shlex.quote(out.name)} *.csv", seconds=SECONDS)
    except RemoteError as error:
        raise ChildCrashedError(f"the probe on {board.host} failed: {_last(error.told)}", hint=error.hint) from error
    finally:
        with contextlib.suppress(
            ShoestringError
        ):  # a cut connection cannot tidy up; the first error is the one to tell
            remove(board, folder)
    return _unpack(packed, board.host, out, rows_path)


def _unpack(packed: bytes, host: str, out: Path, rows_path: Path) -> Fetched:
    """Check what came back with our own readers, then put it in place."""
    if len(packed) > MOST_BYTES:
        raise ChildCrashedError(f"{host} sent {len(packed):,} bytes, the limit is {MOST_BYTES:,}")
    wanted = {
        out.name: out,
        out.with_suffix(".csv").name: rows_path,
        networks_path(out.with_suffix(".csv")).name: networks_path(rows_path),
    }
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() and member.name in wanted else None
                if content is not None:
                    found[member.name] = content.read()
    except tarfile.TarError as error:
        raise ChildCrashedError(f"what {host} sent is no archive: {error}") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ChildCrashedError(f"{host} sent no {missing[0]}", hint="run the probe again")
    for name, path in wanted.items():
        disk.write_bytes(path, found[name])
    load_chip(out)
    return Fetched(tuple(wanted.values()), len(read_rows(rows_path)))


def _last(told: str) -> str:
    lines = [line for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["it said nothing"])[-1]
