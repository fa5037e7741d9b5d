"""Disks that refuse: the N-th call of the seam fails, for every N, once and for ever."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import power
from shoestring.base import disk
from shoestring.base.disk import kernel
from shoestring.base.disk.kernel import Kernel
from shoestring.base.errors import StorageError

CODES = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE)
CALLS = tuple(name for name in vars(Kernel) if not name.startswith("_"))
TEMPORARY = re.compile(r"\..*\.part")


class Tapped(Kernel):
    """Asks `before` ahead of each call."""

    def __init__(self) -> None:
        for name in CALLS:
            setattr(self, name, functools.partial(self._call, name))

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        self.before(name)
        return getattr(Kernel, name)(self, *arguments, **named)

    def before(self, name: str) -> None:
        """May raise, instead of the call."""


class Failing(Tapped):
    """Fails at the N-th call, or from there on. A close that fails has closed all the same, as on Linux.

    Args:
        number: from 1; 0 for never.
        code: errno.
        for_ever: every call from there on.
        only: of these calls alone are counted.
    """

    def __init__(self, number: int, code: int, *, for_ever: bool = False, only: tuple[str, ...] = CALLS) -> None:
        super().__init__()
        self.calls, self._number, self._code, self._for_ever, self._only = 0, number, code, for_ever, only

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        try:
            self.before(name)
        except (OSError, KeyboardInterrupt):
            if name == "close":
                os.close(*arguments)
            raise
        return getattr(Kernel, name)(self, *arguments, **named)

    def before(self, name: str) -> None:
        """Count, and fail when it is time."""
        if name not in self._only:
            return
        self.calls += 1
        if self.calls == self._number or (self._for_ever and 0 < self._number < self.calls):
            raise OSError(self._code, os.strerror(self._code))


class Interrupting(Failing):
    """Ctrl-C at the N-th call."""

    def __init__(self, number: int) -> None:
        super().__init__(number, errno.EINTR)

    def before(self, name: str) -> None:
        """Count, and press the keys when it is time."""
        try:
            super().before(name)
        except OSError:
            raise KeyboardInterrupt from None


class Full(Kernel):
    """A disk with room for so many bytes: the write that meets the end takes a part, the next one none.

    Args:
        room: in bytes.
        most: that one write takes.
    """

    def __init__(self, room: int, most: int = 1 << 30) -> None:
        self._room, self._most = room, most

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        size = min(len(data), self._room, self._most)
        if data and not size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(descriptor, data[:size], offset)
        self._room -= taken
        return taken


@dataclass(frozen=True)
class Attempt:
    """What is tried on a disk that refuses.

    Args:
        prepare: makes what is there before.
        act: may raise StorageError, and nothing else of a refusal.
        state: what a reader sees; it is as before `act` or as after it, whatever the disk did.
        between: whether another state may be left after an error.
        retry: the next try, where it is not `act`.
        again: states that the next try may lead to, beside the one after `act`.
        may_stay: whether `act` may return with nothing changed: it finds another way.
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    state: Callable[[Path], Any]
    between: Callable[[Any], bool] = field(default=lambda _state: False)
    retry: Callable[[Path], None] | None = None
    again: tuple[object, ...] = ()
    may_stay: bool = False


def at_every_point(attempt: Attempt) -> int:
    """Every errno of `CODES` at every call, once and for ever.

    Returns:
        How many points there were: calls x errnos x 2.

    Raises:
        AssertionError: a state between old and new, an error that is not ours, a descriptor or a temporary file left,
            or the next try fails.
    """
    with power.scratch() as name:
        root = Path(name) / "fresh"
        old, litter = _fresh(attempt, root), temporaries(root)
        counter = Failing(0, errno.EIO)
        with kernel.using(counter):
            attempt.act(root)
        new = attempt.state(root)
        for code in CODES:
            for for_ever in (False, True):
                for number in range(1, counter.calls + 1):
                    _fresh(attempt, root)
                    words = f"{errno.errorcode[code]} at call {number} of {counter.calls}, {for_ever=}"
                    _try(attempt, root, Failing(number, code, for_ever=for_ever), (old, new), words)
                    if not for_ever:
                        assert not temporaries(root) - litter, f"{words}: {temporaries(root)} is left"
                    (attempt.retry or attempt.act)(root)
                    assert attempt.state(root) in (new, *attempt.again), f"{words}: the next try"
                    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
                        disk.sweep(folder)
                    assert not temporaries(root), f"{words}: {temporaries(root)} is left after a sweep"
    return counter.calls * len(CODES) * 2


def interrupted_at_every_point(attempt: Attempt) -> int:
    """Ctrl-C at every call: old or new, nothing left.

    Returns:
        How many calls there were.
    """
    number = 0
    with power.scratch() as name:
        root = Path(name) / "fresh"
        old, litter = _fresh(attempt, root), temporaries(root)
        attempt.act(root)
        new = attempt.state(root)
        while True:
            number += 1
            _fresh(attempt, root)
            try:
                with kernel.using(Interrupting(number)):
                    attempt.act(root)
            except KeyboardInterrupt:
                state, words = attempt.state(root), f"Ctrl-C at call {number}"
                assert state in (old, new) or attempt.between(state), f"{words}: neither old nor new, but {state!r}"
                assert not descriptors(root), f"{words}: left open"
                assert not temporaries(root) - litter, f"{words}: {temporaries(root)} is left"
            else:
                return number - 1


def _try(attempt: Attempt, root: Path, failing: Failing, states: tuple[object, object], words: str) -> None:
    try:
        with kernel.using(failing):
            attempt.act(root)
    except StorageError:
        state = attempt.state(root)
        assert state in states or attempt.between(state), f"{words}: neither old nor new, but {state!r}"
    else:
        known = states if attempt.may_stay else states[1:]
        assert attempt.state(root) in known, f"{words}: called done, but {attempt.state(root)!r}"
    left = descriptors(root)
    assert not left, f"{words}: {left} left open"


def _fresh(attempt: Attempt, root: Path) -> object:
    power.lay_out({}, root)
    attempt.prepare(root)
    return attempt.state(root)


def descriptors(root: Path) -> set[str]:
    """Those of this process that lead below a directory, and where; libraries open others when they like."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one of this very listing
            target = link.readlink()
            if root in (target, *target.parents):
                found.add(f"{link.name} {target}")
    return found


def temporaries(root: Path) -> set[str]:
    """Files below a directory that a writer should have taken away."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if TEMPORARY.fullmatch(path.name)}
