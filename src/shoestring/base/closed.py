"""A process that shuts itself in before it opens what may run code of its own: an archive of a framework, a pickle.

What holds afterwards, each by a means of the kernel:

    files      Landlock: reads below the paths named, writes to the files named, nothing else
    network    seccomp: no socket of any family; a network of its own as well where the kernel allows one
    programs   seccomp: none is started, no process is made, no other one is touched
    rights     capabilities are dropped, none can come back

A process that cannot be shut in does not go on, unless it only parses data and its caller was asked to make do. What is
not held: processor time and memory up to the limits of the caller, and questions whether a path exists and how large it
is.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shoestring.base import landlock, seccomp
from shoestring.base.errors import ChildError

_NO_NEW_PRIVS = 38
_DROP_BOUND, _LAST_CAPABILITY = 24, 63
_CAPABILITIES_V3 = 0x2008_0522
_NEW_USERS, _NEW_NETWORK = 0x1000_0000, 0x4000_0000

# What Python, numpy and torch read of the system: libraries, and facts about the processor.
_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/lib", "/lib64",
    "/etc/ld.so.cache", "/etc/localtime",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system", "/dev/urandom", "/dev/zero",
)  # fmt: skip


@dataclass(frozen=True)
class Held:
    """What holds in a process that was shut in, in plain words.

    Args:
        words: what it has given up.
        lacking: what this kernel could not make it give up, and why; None when it gave up everything.
    """

    words: tuple[str, ...]
    lacking: str | None


def shut_in(readable: Iterable[Path], writable: Iterable[Path], *, largest_file_bytes: int) -> tuple[str, ...]:
    """Shut this process in. Called before any library that starts threads is imported; it cannot be undone.

    Args:
        readable: files and directories that may be read, beside Python's own and the system's libraries.
        writable: files that exist and may be written.
        largest_file_bytes: that a file may grow to.

    Returns:
        What holds, in plain words.

    Raises:
        ChildError: this kernel cannot hold files, network and programs; nothing was opened.
    """
    held = shut_in_as_far_as_it_goes(readable, writable, largest_file_bytes=largest_file_bytes)
    if held.lacking is not None:
        raise ChildError(
            held.lacking,
            hint="import it on Linux 5.13 or later (x86_64 or aarch64), or export to ONNX where you trust the file",
        )
    return held.words


def shut_in_as_far_as_it_goes(readable: Iterable[Path], writable: Iterable[Path], *, largest_file_bytes: int) -> Held:
    """As `shut_in`, but a kernel that lacks a means only has it named: for readers that run no code of the file.

    Raises:
        ChildError: the process has several threads, of which only one would be shut in.
    """
    if _threads() > 1:
        raise ChildError("a process with several threads cannot be shut in", hint="shut it in first")
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))
    apart = _leave_network(libc)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    roots = {*python_roots(), *(Path(name) for name in _SYSTEM), *readable}
    version = landlock.give_up_files(sorted(roots), [*writable, Path(os.devnull)])
    _drop_capabilities(libc)
    filtered = seccomp.give_up_calls()
    words = []
    if apart or filtered:
        means = [*(["its own empty one"] if apart else []), *(["no sockets"] if filtered else [])]
        words.append(f"no network ({', and '.join(means)})")
    if version:
        words.append(f"no files but the model's own (Landlock {version})")
    if filtered:
        words.append("no programs, no other processes")
    without = " and ".join(word for word, holds in (("Landlock", version), ("seccomp", filtered)) if not holds)
    kernel = f"{os.uname().release}, {os.uname().machine}"
    lacking = f"this kernel ({kernel}) cannot close a process: it is without {without}" if without else None
    return Held(tuple(words), lacking)


def _threads() -> int:
    """Those of libraries too, which Python does not know of: walls stand around one thread and what it starts."""
    return len(list(Path("/proc/self/task").iterdir()))


def python_roots() -> list[Path]:
    """Where this interpreter and the packages it imports stand."""
    below = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix)]
    found = [*below, *(Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages"))]
    return [*found, Path(__file__).parents[2]]


def _leave_network(libc: ctypes.CDLL) -> bool:
    """A network namespace with nothing in it; where that takes rights, those of a user namespace of its own."""
    return any(int(libc.unshare(flags)) == 0 for flags in (_NEW_NETWORK, _NEW_USERS | _NEW_NETWORK))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Root without capabilities is a user like others; `no_new_privs` keeps it so."""
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_DROP_BOUND, capability, 0, 0, 0)  # refused without rights, which is as well
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))
