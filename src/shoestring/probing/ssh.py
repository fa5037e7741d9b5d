"""A board over plain ssh: the user's own client, keys and configuration, no password asked, nothing left behind."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shoestring.base.errors import ChildCrashedError, ChildTimeoutError, StorageError, UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

CONNECT_SECONDS = 15
SHORT_SECONDS = 60.0
LEAST_PYTHON = (3, 11)
NEEDED = ("numpy", "msgspec", "rich", "PIL", "onnx")
"""Modules that a probe imports, whatever the runtimes."""

INSTALL = "numpy msgspec rich pillow onnx onnxruntime"
SSH_FAILED = 255
NOT_FOUND = (126, 127)
SHIPPED = (".py", ".toml", ".csv", ".c", ".h", ".typed", ".j2", ".css")
_TARGET = re.compile(r"(?P<host>[A-Za-z0-9_.@\[\]:%-]*[A-Za-z0-9_\]-])")


@dataclass(frozen=True)
class Board:
    """Where to log in.

    Args:
        host: `user@host` or a name of the user's ssh configuration.
        port: or None for the configuration's.
        options: given to `ssh -o`, one each.
    """

    host: str
    port: int | None = None
    options: tuple[str, ...] = ()

    def run(
        self,
        command: str,
        *,
        seconds: float,
        stdin: bytes | IO[bytes] = b"",
        heard: Callable[[str], None] | None = None,
    ) -> bytes:
        """What a shell command prints on the board.

        Args:
            command: for the login shell there.
            seconds: after which the client is killed; the command then ends when it next writes something.
            stdin: its input, or an open file that holds it.
            heard: told every line of its stderr as it comes.

        Raises:
            UsageError: no ssh client here, the board cannot be reached, or refuses our keys.
            ChildTimeoutError: it took longer.
            RemoteError: the command failed.
        """
        arguments = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-T"]
        arguments += [part for option in self.options for part in ("-o", option)]
        arguments += ["-p", str(self.port)] if self.port is not None else []
        try:
            client = subprocess.Popen(
                [*arguments, "--", self.host, command],
                stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise UsageError("there is no ssh client here", hint="apt-get install openssh-client") from None
        out, told = _talk(client, stdin if isinstance(stdin, bytes) else None, seconds, heard, self.host)
        if client.returncode == SSH_FAILED:
            raise _unreachable(self.host, told)
        if client.returncode != 0:
            raise RemoteError(self.host, client.returncode, told)
        return out


class RemoteError(ChildCrashedError):
    """A command failed on the board.

    Args:
        host: where.
        code: its exit code.
        told: its stderr.
    """

    def __init__(self, host: str, code: int, told: str) -> None:
        last = told.strip().splitlines()[-1] if told.strip() else "it said nothing"
        super().__init__(f"on {host} a command ended with code {code}: {last}", hint="run it there by hand to see more")
        self.code, self.told = code, told


def parse_board(text: str, options: Sequence[str] = ()) -> Board:
    """`user@host`, `user@host:2222` or a name of the ssh configuration -> Board.

    Raises:
        UsageError: it could be taken for an option, or its port is no port.
    """
    if not _TARGET.fullmatch(text) or text.startswith("-"):
        raise UsageError(f"--ssh {text!r} is not user@host or user@host:port", hint="write --ssh pi@192.168.1.20")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return Board(text, None, tuple(options))
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"--ssh {text!r}: port {port!r} is outside 1..65535", hint="write --ssh pi@host:22")
    return Board(host, int(port), tuple(options))


def check_python(board: Board, python: str, needed: tuple[str, ...] = NEEDED, install: str = INSTALL) -> None:
    """Whether that interpreter can run us.

    Args:
        board: where.
        python: the interpreter; `~/` is the home there.
        needed: modules that it must find.
        install: packages to name where one is missing.

    Raises:
        UsageError: says what to install. And as `Board.run`.
    """
    wanted = (
        f"import importlib.util as u, sys; print(*sys.version_info[:2], *(m for m in {needed!r} if not u.find_spec(m)))"
    )
    try:
        said = board.run(f"{shell_path(python)} -c {shlex.quote(wanted)}", seconds=SHORT_SECONDS).decode().split()
    except RemoteError as error:
        if error.code in NOT_FOUND:
            raise UsageError(
                f"there is no {python} on {board.host}", hint="name the board's interpreter with --python PATH"
            ) from None
        raise
    version, missing = (int(said[0]), int(said[1])), said[2:]
    if version < LEAST_PYTHON:
        raise UsageError(
            f"{python} on {board.host} is Python {version[0]}.{version[1]}, at least 3.11 is needed",
            hint="name another with --python PATH",
        )
    if missing:
        raise UsageError(
            f"{python} on {board.host} lacks {', '.join(missing)}",
            hint=f"there: python3 -m venv ~/shoestring && ~/shoestring/bin/pip install {install}; "
            "then --python '~/shoestring/bin/python'",
        )


def send_ourselves(board: Board) -> str:
    """Unpack our own sources into a fresh directory on the board; its path.

    Raises:
        StorageError: the board's disk refused. And as `Board.run`.
    """
    command = 'd=$(mktemp -d) && { tar -xzf - -C "$d" && printf %s "$d" || { rm -rf "$d"; exit 9; }; }'
    try:
        return board.run(command, seconds=SHORT_SECONDS, stdin=_packed()).decode()
    except RemoteError as error:
        raise StorageError(
            f"{board.host} could not unpack our sources: {error.told.strip() or 'no reason given'}",
            hint="free some space in its /tmp; 20 MB are enough",
        ) from error


def remove(board: Board, folder: str) -> None:
    """Take a directory of ours away again. Raises as `Board.run`."""
    board.run(f"rm -rf -- {shlex.quote(folder)}", seconds=SHORT_SECONDS)


def shell_path(path: str) -> str:
    """A path for a shell, whose own home `~/` stays what it is."""
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)


def add_ourselves(archive: tarfile.TarFile) -> None:
    """Put our own sources into an archive."""
    for name, content in _files(resources.files("shoestring"), "shoestring"):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def _packed() -> bytes:
    """Our package as a compressed tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=6) as archive:
        add_ourselves(archive)
    return data.getvalue()


def _files(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name != "__pycache__":
            found += _files(entry, f"{name}/{entry.name}")
        elif Path(entry.name).suffix in SHIPPED:
            found.append((f"{name}/{entry.name}", entry.read_bytes()))
    return found


def _talk(
    client: subprocess.Popen[bytes], stdin: bytes | None, seconds: float, heard: Callable[[str], None] | None, host: str
) -> tuple[bytes, str]:
    """Feed and drain a client; its stdout and stderr. Raises ChildTimeoutError."""
    import threading

    assert client.stderr is not None
    lines: list[str] = []

    def listen(stream: io.BufferedReader) -> None:
        for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            lines.append(text)
            if heard is not None:
                heard(text)

    stderr, client.stderr = client.stderr, None
    listener = threading.Thread(target=listen, args=(stderr,), daemon=True)
    listener.start()
    try:
        out, _ = client.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()
        raise ChildTimeoutError(f"{host} did not answer within {seconds:g} s", hint="is the board busy?") from None
    except BaseException:
        client.kill()
        client.wait()
        raise
    listener.join()
    return out, "\n".join(lines)


def _unreachable(host: str, told: str) -> UsageError | ChildCrashedError:
    last = told.strip().splitlines()[-1] if told.strip() else "no reason given"
    if "Permission denied" in told:
        return UsageError(
            f"{host} refused our keys: {last}", hint=f"ssh-copy-id {host}, or name a key in ~/.ssh/config"
        )
    if "Host key verification failed" in told:
        return UsageError(
            f"{host} is not known yet, or is another one: {last}", hint=f"log in once by hand: ssh {host}"
        )
    if any(words in told for words in ("closed by", "Broken pipe", "reset by peer", "closed.", "Timeout, server")):
        return ChildCrashedError(f"the connection to {host} was cut: {last}", hint="run the command again")
    return UsageError(f"cannot reach {host}: {last}", hint=f"try by hand: ssh {host}")
