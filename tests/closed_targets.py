"""What tests run in a closed process, and in one that was left open by mistake."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shoestring.base import closed, landlock, quarantine, seccomp
from shoestring.base.errors import ModelError

ROOM_FILE = "room.json"


def misdeeds(room: dict[str, str]) -> dict[str, Callable[[], Any]]:
    """Everything a hostile file would like to do, by name.

    Args:
        room: `secret` (a file), `outside` (a directory), `tcp` (a port), `unix` (a socket's path), `victim` (a pid).
    """
    outside, victim = Path(room["outside"]), int(room["victim"])
    return {
        "read a file": lambda: Path(room["secret"]).read_bytes(),
        "list a directory": lambda: list(outside.iterdir()),
        "write a file": lambda: (outside / "written").write_text("x"),
        "empty a file": lambda: os.truncate(room["secret"], 0),
        "remove a file": lambda: Path(room["secret"]).unlink(),
        "move a file": lambda: Path(room["secret"]).rename(outside / "moved"),
        "link a file": lambda: os.link(room["secret"], outside / "linked"),
        "make a directory": lambda: (outside / "made").mkdir(),
        "make a socket file": lambda: os.mkfifo(outside / "fifo"),
        "change a mode": lambda: Path(room["secret"]).chmod(0o777),
        "change a time": lambda: os.utime(room["secret"], (0, 0)),
        "set an attribute": lambda: os.setxattr(room["secret"], "user.x", b"x"),
        "call over TCP": lambda: socket.create_connection(("127.0.0.1", int(room["tcp"])), timeout=5),
        "send over UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        "call a local service": lambda: socket.socket(socket.AF_UNIX).connect(room["unix"]),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "replace itself": lambda: os.execv("/bin/true", ["true"]),
        "fork": _fork,
        "signal a process": lambda: os.kill(victim, signal.SIGUSR1),
        "slow a process down": lambda: os.setpriority(os.PRIO_PROCESS, victim, 5),
        "read a process": lambda: Path(f"/proc/{victim}/environ").read_bytes(),
        "leave its session": os.setsid,
        "go around by io_uring": lambda: _raw(425, 8, ctypes.create_string_buffer(120)),
        "map a kernel program": lambda: _raw(321 if os.uname().machine == "x86_64" else 280, 0, 0, 0),
        "ask for a later call": lambda: _raw(1000),
    }


def attempt(room: dict[str, str], only: str | None = None) -> dict[str, str]:
    """Try every misdeed: "done", or the name of the error."""
    found = {}
    for name, action in misdeeds(room).items():
        if only is not None and name != only:
            continue
        try:
            action()
            found[name] = "done"
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, str(error))
    return found


def closed_attempt(room: dict[str, str]) -> dict[str, Any]:
    """The same after shutting in, with what a reader must still be able to do."""
    out = Path(room["own"])
    held = closed.shut_in([Path(room["readable"])], [out], largest_file_bytes=100_000)
    out.write_text("own")
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    too_large = "held"
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        out.write_bytes(bytes(200_000))
        too_large = "written"
    except OSError:
        pass
    readable = Path(room["readable"]).read_text()
    return {
        "held": held, "tried": attempt(room), "readable": readable, "thread": done, "too_large": too_large,
        "capabilities": _capabilities(), "imports": __import__("decimal").__name__,
    }  # fmt: skip


def open_attempt(room: dict[str, str]) -> dict[str, str]:
    """One misdeed in a process that nobody closed."""
    return attempt(room, room["only"])


def without(missing: str) -> Any:
    """Shut in on a kernel that lacks one of the two."""
    if missing == "landlock":
        landlock.abi = lambda: 0  # type: ignore[assignment]
    else:
        seccomp._MACHINES.clear()
    return closed.shut_in([], [], largest_file_bytes=1000)


def without_landlock(call: dict[str, Any]) -> dict[str, Any]:
    """The way into the quarantine on an older kernel."""
    landlock.abi = lambda: 0  # type: ignore[assignment]
    return quarantine.enter(call)


def with_threads(_: Any) -> Any:
    event = threading.Event()
    threading.Thread(target=event.wait, daemon=True).start()
    return closed.shut_in([], [], largest_file_bytes=1000)


def left_open(call: dict[str, Any]) -> dict[str, Any]:
    """The way into the quarantine with its walls taken out."""
    _take_walls_out()
    return quarantine.enter(call)


def _take_walls_out() -> None:
    closed.shut_in = lambda *_, **__: ("nothing",)  # type: ignore[assignment]
    closed.shut_in_as_far_as_it_goes = lambda *_, **__: closed.Held((), None)  # type: ignore[assignment]


def tempted(call: dict[str, Any]) -> dict[str, Any]:
    """The way into the quarantine, behind which a hostile reader tries everything in the room of ROOM_FILE."""
    room = json.loads((Path(call["readable"][0]).parent / ROOM_FILE).read_text())
    return quarantine.enter({**call, "target": f"{__name__}:try_everything", "request": room})


def tempted_and_open(call: dict[str, Any]) -> dict[str, Any]:
    """The same with the walls taken out, and one misdeed only: the others would break the room."""
    _take_walls_out()
    room = json.loads((Path(call["readable"][0]).parent / ROOM_FILE).read_text())
    return quarantine.enter({**call, "target": f"{__name__}:try_one", "request": room})


def try_everything(room: dict[str, str]) -> None:
    found = attempt(room)
    raise ModelError(f"TRIED {len(found)}, DONE {sorted(name for name, how in found.items() if how == 'done')}")


def forged_answer(call: dict[str, Any]) -> Any:
    """The way into the quarantine, and a reader that was taken over and answers what ROOM_FILE holds."""
    answer = json.loads((Path(call["readable"][0]).parent / ROOM_FILE).read_text())
    os.write(1, b"noise")
    return answer


def try_one(room: dict[str, str]) -> None:
    raise ModelError(f"TRIED {attempt(room, 'read a file')}")


def fork_bomb_of_memory(size: int) -> int:
    """Hold memory, touched page by page."""
    held = bytearray(size)
    for place in range(0, size, 4096):
        held[place] = 1
    threading.Event().wait(30)
    return len(held)


def environment(_: Any) -> list[str]:
    return sorted(os.environ)


def forged(reply: str) -> None:
    """Answer on the pipe what `run_in_child` did not ask for."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, reply.encode())
            os._exit(0)
        except OSError:
            continue
    sys.exit("no pipe found")


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _raw(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    done = int(libc.syscall(number, *arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def _capabilities() -> list[str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb"))]
