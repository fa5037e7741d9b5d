"""Measures candidates on a board over ssh: they travel there with our own sources, and figures come back."""

from __future__ import annotations

import io
import json
import math
import shlex
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from shoestring.base import canonical, disk
from shoestring.base.child import unpack_reply
from shoestring.base.errors import ChildCrashedError, ChildError, StorageError
from shoestring.costmodel.measure_there import LOOK, MEASURE
from shoestring.domain.cost import Cost, Machine
from shoestring.probing.ssh import SHORT_SECONDS, Board, RemoteError, add_ourselves, check_python, shell_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shoestring.costmodel.measure import Measured

NEEDED = ("numpy", "msgspec")
"""Modules that measuring imports, beside the runtimes."""

INSTALL = "numpy msgspec onnxruntime"
REQUEST = "request.json"
NO_SPACE = 93
"""Exit code of the shell there when it could not unpack; no code of Python's."""

SECONDS_FILE = 60.0
"""That loading, warming up and probing the memory of one candidate may take on a slow board, beside its timing."""

SCRIPT = """\
d=$(mktemp -d) || exit {no_space}
trap 'rm -rf "$d"' EXIT
trap 'exit 1' HUP INT TERM PIPE
tar -xf - -C "$d" || exit {no_space}
cd "$d" || exit {no_space}
TMPDIR="$d" PYTHONPATH="$d" PYTHONDONTWRITEBYTECODE=1 {python} -c {code} < {request}
"""
"""Takes its directory away however Python ends, with what runtimes leave in TMPDIR.
Where the connection is cut, Python ends at the next line it says."""

CODE = "from shoestring.base.child import serve_one_call; serve_one_call()"


@dataclass(frozen=True)
class BoardMeter:
    """A `costmodel.meter.Meter` behind ssh.

    Args:
        board: where to log in.
        python: interpreter there; `~/` is its home.
        machine: what it said that it is.
        versions: of its runtimes.
    """

    board: Board
    python: str
    machine: Machine
    versions: Mapping[str, str]

    @property
    def place(self) -> str:
        """As the user named it."""
        return self.board.host

    def measure(
        self,
        artefacts: Sequence[Measured],
        reference: str,
        threads: Sequence[int],
        *,
        seconds_each: float,
        progress: Callable[[str], None],
    ) -> dict[str, Cost]:
        """Costs of the files, measured there side by side.

        Raises:
            EngineError: a file cannot be loaded or run there; the message names it.
            UsageError: the board cannot be reached any more.
            ChildError: the connection was cut, Python died there, or it took too long.
            StorageError: a disk refused, there or here.
        """
        files = {f"candidate{number}{one.path.suffix}": one for number, one in enumerate(artefacts)}
        request = {
            "artefacts": [
                {"name": one.name, "file": name, "runtime": one.runtime, "size_bytes": one.size_bytes}
                for name, one in files.items()
            ],
            "reference": reference,
            "threads": list(threads),
            "seconds_each": seconds_each,
        }
        paths = {name: one.path for name, one in files.items()}
        # warm-up may take as long as timing, and a slow model needs more for its least number of rounds
        seconds = SHORT_SECONDS + len(files) * (SECONDS_FILE + 4 * seconds_each * len(threads))
        answer = _ask(self.board, self.python, MEASURE, request, paths, seconds, progress)
        return _checked(answer, [one.name for one in artefacts], threads, self.board.host)


def open_meter(board: Board, python: str, heard: Callable[[str], None] = lambda _: None) -> BoardMeter:
    """Look at a board before anything is made for it.

    Args:
        board: where to log in.
        python: interpreter there; `~/` is its home.
        heard: told what is said there.

    Raises:
        UsageError: not reachable, refused, or lacks something that can be installed.
        ChildError: the connection was cut.
        StorageError: the board's disk refused.
    """
    check_python(board, python, NEEDED, INSTALL)
    answer = _ask(board, python, LOOK, None, {}, SHORT_SECONDS, heard)
    found = canonical.convert(answer, _Look, _wrong(board.host))
    return BoardMeter(board, python, found.machine, found.versions)


@dataclass(frozen=True)
class _Look:
    machine: Machine
    versions: dict[str, str]


def _ask(
    board: Board,
    python: str,
    target: str,
    request: object,
    files: Mapping[str, Path],
    seconds: float,
    heard: Callable[[str], None],
) -> Any:
    """What a function of ours answers on the board, beside the files it needs."""
    call = json.dumps({"target": target, "request": request, "memory_bytes": None}).encode()
    script = SCRIPT.format(no_space=NO_SPACE, python=shell_path(python), code=shlex.quote(CODE), request=REQUEST)
    with disk.storage_errors(Path(tempfile.gettempdir())):
        directory = tempfile.TemporaryDirectory(prefix="shoestring-ssh-")
    with directory as scratch:
        packed = Path(scratch) / "sent.tar"
        with disk.storage_errors(packed):
            _pack(packed, call, files)
        with packed.open("rb") as stdin:
            reply = _run(board, f"exec /bin/sh -c {shlex.quote(script)}", stdin, seconds, heard)
    if not reply:
        raise ChildCrashedError(f"{board.host} answered nothing", hint="run the command again")
    try:
        return unpack_reply(f"measuring on {board.host}", reply)
    except (ValueError, KeyError, TypeError) as error:
        raise ChildError(f"what {board.host} answered is no reply of ours: {error}") from error


def _run(board: Board, command: str, stdin: IO[bytes], seconds: float, heard: Callable[[str], None]) -> bytes:
    try:
        return board.run(command, seconds=seconds, stdin=stdin, heard=heard)
    except RemoteError as error:
        if error.code != NO_SPACE:
            raise
        raise StorageError(
            f"{board.host} could not unpack what was sent: {error.told.strip() or 'no reason given'}",
            hint="free some space in its /tmp, or name another directory there in TMPDIR",
        ) from error


def _pack(target: Path, call: bytes, files: Mapping[str, Path]) -> None:
    """Our sources, the request and the files as a tar, on disk: candidates together may be larger than memory."""
    with tarfile.open(target, mode="w") as archive:
        add_ourselves(archive)
        member = tarfile.TarInfo(REQUEST)
        member.size = len(call)
        archive.addfile(member, io.BytesIO(call))
        for name, path in files.items():
            with path.open("rb") as stream:
                member = tarfile.TarInfo(name)
                member.size = path.stat().st_size
                archive.addfile(member, stream)


def _checked(answer: object, names: Sequence[str], threads: Sequence[int], host: str) -> dict[str, Cost]:
    """Costs for just what was asked, above zero and measured. Raises ChildError."""
    wrong = _wrong(host)
    costs = canonical.convert(answer, dict[str, Cost], wrong)
    if list(costs) != list(names):
        raise wrong(f"costs of {', '.join(costs) or 'nothing'}, asked were {', '.join(names)}")
    for name, cost in costs.items():
        if tuple(one.threads for one in cost.timings) != tuple(threads):
            raise wrong(f"{name} has other thread counts than {list(threads)}")
        times = [value for one in cost.timings for value in (one.low_ms, one.median_ms, one.high_ms)]
        figures = [*times, *(one.ratio_to_original for one in cost.timings), cost.peak_rss_bytes]
        if not all(math.isfinite(value) and value > 0 for value in figures):
            raise wrong(f"{name} has a figure that is not above zero")
        if cost.predicted is not None or any(one.runs < 1 for one in cost.timings):
            raise wrong(f"{name} was not measured")
    return costs


def _wrong(host: str) -> Callable[[str], ChildError]:
    return lambda words: ChildError(
        f"{host} answered what was not asked: {words}", hint="nothing else may print on a login there"
    )


__all__ = ["BoardMeter", "open_meter"]
