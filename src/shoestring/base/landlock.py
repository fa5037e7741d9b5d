"""Landlock: a process gives up the file system but for what it names (Linux 5.13 and later).

From the kernel's Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h. Rights are those of the
calling thread and of all that it starts later, so it is called before there are other threads.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

# The same number on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
# How many of the rights on files an ABI knows: execute to make_sym, then refer (2), truncate (3), ioctl_dev (5).
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NOW = 16
_TCP_ABI, _TCP_RIGHTS = 4, 0b11  # bind, connect
_SCOPE_ABI, _SCOPES = 6, 0b11  # abstract Unix sockets, signals


def abi() -> int:
    """The version of Landlock in this kernel; 0 when it has none or is told not to use it."""
    version = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(0, int(version))


def give_up_files(readable: Iterable[Path], writable: Iterable[Path]) -> int:
    """Give up every file and directory but the ones named. It cannot be undone. `no_new_privs` must be set.

    Args:
        readable: files and directories, with all below them, that may be read; those that do not exist are left out.
        writable: files that exist and may be written and read.

    Returns:
        The version of Landlock that holds now; 0 when the kernel has none, and nothing was given up.

    Raises:
        OSError: the kernel has Landlock and refused.
    """
    version = abi()
    if version == 0:
        return 0
    handled = (1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS_NOW)) - 1
    tcp = _TCP_RIGHTS if version >= _TCP_ABI else 0
    scopes = _SCOPES if version >= _SCOPE_ABI else 0
    # Kernels take a shorter or longer structure than their own, as long as what they do not know is zero.
    attributes = struct.pack("=QQQ", handled, tcp, scopes)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for path in readable:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR) if path.is_dir() else _READ_FILE)
        for path in writable:
            _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    done = int(_libc().syscall(number, *arguments))
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock, system call {number}: {os.strerror(code)}")
    return done
