"""The two slots of a device, `a.shoe` and `b.shoe`, and the record that says which of them is started.

Whoever runs the bundle calls `begin` at each start, `confirm` once it served well, `fail` when it does not. Whoever
brings a new one calls `stage`, which writes it to the slot that is not in use, and `activate`, which is one rename.
There is no moment in which a good bundle that was there could not be started.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import BundleError, SlotError, StorageError
from shoestring.bundle.opening import open_bundle
from shoestring.device.slots import rules
from shoestring.device.slots.copying import copy_in, size_of
from shoestring.device.slots.locking import alone
from shoestring.device.slots.nouns import EMPTY, GOOD, Held, Kept, Record, Refusal
from shoestring.device.slots.record import file_of, read_record, write_record
from shoestring.device.slots.staging import check_same, remove_leftovers, room_for
from shoestring.device.slots.starting import nothing, start

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from shoestring.bundle import Bundle

LOCK = "lock"


class Slots:
    """The slots below a directory. Any number of processes may use one; each call is whole for the others.

    Args:
        root: directory, made by the first call that writes.
        wall_s: the device's clock, s since 1970; it only dates refusals.

    Attributes:
        began: hash of what the record named as active once the last `begin` was done; another one later on means that
            a newer bundle was activated, or this one given up.
    """

    def __init__(self, root: Path, wall_s: Callable[[], float] = time.time) -> None:
        self.root = Path(root)
        self._wall_s = wall_s
        self._depth = 0
        self._staged: tuple[Held, Bundle] | None = None
        self.began: str | None = None

    # --- looking -----------------------------------------------------------------------------------------------------

    def record(self) -> Record:
        """All of it, as it is now. Raises StorageError."""
        return read_record(self.root)[0]

    def trouble(self) -> str | None:
        """What is wrong with the record, in words; None where nothing is. Raises StorageError."""
        return read_record(self.root)[1]

    def active(self) -> Held | None:
        """The bundle that the next start takes, unless that start finds it unsound. Raises StorageError."""
        record = self.record()
        return self._held(record.active, record.state, record.starts)

    def previous(self) -> Held | None:
        """The good one to go back to. Raises StorageError."""
        return self._held(self.record().previous, GOOD, 0)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Bundles that are not tried again, oldest first. Raises StorageError."""
        return self.record().refused

    def is_sound(self, held: Held) -> bool:
        """Whether its file still holds every byte. Raises StorageError where it is there and cannot be read."""
        if not held.path.exists():
            return False
        try:
            with open_bundle(held.path) as bundle:
                return bundle.sha256 == held.sha256
        except BundleError:
            return False

    # --- running -----------------------------------------------------------------------------------------------------

    def begin(self) -> Held:
        """Count a start, and say which bundle to run; see `begin_open`."""
        held, bundle = self.begin_open()
        bundle.close()
        return held

    def begin_open(self) -> tuple[Held, Bundle]:
        """Count a start of a trial, on the disk, and hand out the bundle, every byte of it verified.

        A trial that had all of its starts is rolled back first. A bundle whose file does not hold its hash gives way to
        the previous good one; so does a trial whose start cannot be counted.

        Raises:
            SlotError: there is none, or none that is sound.
            StorageError: the files cannot be read.
        """
        with self._alone():
            one = start(self.root, self._wall_s())
            self.began = one.active
            return self._hold(one.kept, one.state, one.starts), one.bundle

    def confirm(self, held: Held | None = None) -> None:
        """The bundle served well: it is good from now on.

        Args:
            held: that `begin` handed out; where another one is active by now, nothing changes. None: the active one.

        Raises:
            StorageError: the record cannot be written.
        """
        with self._alone():
            record, _ = self._load()
            if _is_active(record, held):
                self._save(record, rules.confirmed(record))

    def end(self, held: Held) -> None:
        """The start that handed this out ended in good order, by a signal or since its work was done.

        Raises:
            StorageError: the record cannot be written.
        """
        with self._alone():
            record, _ = self._load()
            if _is_active(record, held):
                self._save(record, rules.ended(record))

    def fail(self, reason: str, words: str = "", held: Held | None = None) -> Held | None:
        """The bundle does not serve: it is refused from now on, and the previous good one is active again.

        Args:
            reason: one of `SlotError.REASONS`.
            words: what happened.
            held: as for `confirm`.

        Returns:
            What is active now; None where there is no good one.

        Raises:
            SlotError: it is good and there is no other, or nothing is active.
            StorageError: the record cannot be written.
            UsageError: there is no such reason.
        """
        with self._alone():
            record, trouble = self._load()
            if _is_active(record, held):
                if record.active is None:
                    raise nothing(self.root, trouble)
                why = rules.refusal(record.active.sha256, reason, words or reason, self._wall_s())
                record = self._save(record, rules.failed(record, why))
            return self._held(record.active, record.state, record.starts)

    # --- bringing ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def activating(self) -> Iterator[None]:
        """Keep everybody else from staging and activating. Raises StorageError where somebody is at it."""
        if self._depth == 0:
            lock = self.root / LOCK
            disk.make_directory(lock)
            held: contextlib.AbstractContextManager[None] = alone(
                lock, wait=False, busy=f"another bundle is being activated in {self.root}"
            )
        else:
            held = contextlib.nullcontext()
        with held:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def stage(self, source: Path, checks: Callable[[Bundle], None] = lambda _: None, counter: int = 0) -> Held:
        """Copy a bundle into the slot that is not in use, verify every byte of the copy, and hold it to the checks.

        A bundle that was in that slot can not be gone back to from then on; a trial there is over, without being
        refused. Where anything fails the slot is empty.

        Args:
            source: of the bundle.
            checks: told the opened copy; raises what speaks against it.
            counter: of the release that brings it.

        Raises:
            BundleError: it is not sound.
            SlotError: there is no room.
            StorageError: the disk refused, or somebody else is activating.
            ShoestringError: what the checks raise.
        """
        size = size_of(source)
        with self.activating():
            self.discard()
            self.clean()
            with self._alone():
                path = room_for(self.root, size)
            try:
                copy_in(source, path, size)
                bundle = open_bundle(path)
                try:
                    checks(bundle)
                except BaseException:
                    bundle.close()
                    raise
            except BaseException:
                with contextlib.suppress(StorageError):  # what speaks against the bundle is what must be told
                    disk.remove(path)
                raise
            named = (path.name.partition(".")[0], bundle.sha256, size, bundle.manifest.name, counter)
            held = Held(*named, path=path, state=EMPTY, starts=0)
            self._staged = (held, bundle)
            return held

    def activate(self, held: Held) -> Held:
        """Make what was staged the one that the next start takes, on trial.

        Raises:
            SlotError: it is not what this object staged last, it was refused, or its file was replaced.
            StorageError: the record cannot be written.
        """
        with self.activating(), self._alone():
            if self._staged is None or self._staged[0] != held:
                raise SlotError(f"{held.path} was not staged", "damaged", hint="stage the bundle first")
            check_same(held.path, self._staged[1].descriptor)
            record, _ = self._load()
            plain = {name: value for name, value in asdict(held).items() if name not in ("path", "state", "starts")}
            record = self._save(record, rules.activated(record, Kept(**plain)))
            self.discard()
            return replace(held, state=record.state)

    def discard(self) -> None:
        """Let go of what was staged and not activated; its file is left to `clean`."""
        if self._staged is not None:
            self._staged[1].close()
            self._staged = None

    def clean(self) -> tuple[str, ...]:
        """Remove what a cut left behind: half-written files, and slots that the record does not name.

        Returns:
            Names of what was removed.
        """
        with self.activating(), self._alone():
            return remove_leftovers(self.root, None if self._staged is None else self._staged[0].path.name)

    # --- ruling out --------------------------------------------------------------------------------------------------

    def refuse(self, sha256: str, reason: str, words: str) -> None:
        """Never activate this bundle, which is in no slot that is started. Raises StorageError."""
        disk.make_directory(self.root)
        with self._alone():
            record, _ = self._load()
            self._save(record, rules.with_refusal(record, rules.refusal(sha256, reason, words, self._wall_s())))

    def revoke(self, hashes: Collection[str]) -> Held | None:
        """Their owner wants these to run nowhere any more: the one rule that may leave nothing to start.

        Returns:
            What is active now.
        """
        with self._alone():
            record, _ = self._load()
            record = self._save(record, rules.revoked(record, hashes, self._wall_s()))
            return self._held(record.active, record.state, record.starts)

    def forget(self, start: str) -> None:
        """Let a refused bundle be tried again. Raises UsageError unless exactly one has a hash that begins so."""
        with self._alone():
            record, _ = self._load()
            self._save(record, rules.forgotten(record, start))

    def seen(self, counter: int) -> None:
        """A release with this counter is out: no smaller one is taken from now on. Raises StorageError."""
        disk.make_directory(self.root)
        with self._alone():
            record, _ = self._load()
            self._save(record, replace(record, counter=max(record.counter, counter)))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return alone(self.root, wait=True)

    def _load(self) -> tuple[Record, str | None]:
        return read_record(self.root)

    def _save(self, before: Record, after: Record) -> Record:
        if after != before:
            write_record(self.root, after)
        return after

    def _held(self, kept: Kept | None, state: str, starts: int) -> Held | None:
        return None if kept is None else self._hold(kept, state, starts)

    def _hold(self, kept: Kept, state: str, starts: int) -> Held:
        return Held(**asdict(kept), path=self.root / file_of(kept.slot), state=state, starts=starts)


def _is_active(record: Record, held: Held | None) -> bool:
    return held is None or (record.active is not None and record.active.sha256 == held.sha256)


__all__ = ["Slots"]
