"""Activate a bundle: everything that could speak against it is asked first, and the last step is one rename.

1. Whatever is not a bundle is not read far: the file is hashed, and must be the one that the release names. What was
   refused on this device before is refused again, and so is what its owner revoked.
2. The release is no older than one that was here, and made for this version of this project or an earlier one.
3. There is room for the whole of it; only then does the bundle in the other slot give way.
4. It is copied into that slot and on the disk before anything goes on. From here on the copy is what counts: it is
   opened once, every byte of it is verified, and the same descriptor is replayed from and activated.
5. Those who are trusted signed it, as many of them as must. Only where the owner names nobody, and says so, may it be
   unsigned.
6. Its scores and certificates have the counts of the answers in its evidence, and its bill of materials is its own. It
   was made for this chip, and the runtimes that it needs are here.
7. Its golden set is replayed on this very device, in processes that may crash, hang and take memory without harm, and
   must answer as it did where it was certified.
8. The record names it, on trial (`Slots.activate`).

What fails in step 7 is the bundle's own doing: it is refused for good, and not tried again. What fails before may be
mended (room, keys, a runtime, an update of this project), and the same bundle is welcome then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoestring.base.errors import BundleError, SlotError, UsageError
from shoestring.bundle.recheck import recheck_counts
from shoestring.chips.host import this_machine
from shoestring.device.slots import rules
from shoestring.device.slots.checks import check_chip, check_counter, check_runtimes, check_signed, check_version
from shoestring.device.slots.copying import sha256_of
from shoestring.device.slots.replaying import ReplayLimits, replay_golden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from shoestring.bundle import Bundle
    from shoestring.device.slots.nouns import Held, Record
    from shoestring.device.slots.slots import Slots
    from shoestring.domain.cost import Machine
    from shoestring.domain.release import Release
    from shoestring.trust.policy import Policy

ITS_OWN_DOING = ("golden", "crashed", "hung")
"""Reasons after which a bundle is never tried again here."""


@dataclass(frozen=True)
class Device:
    """What is known of the device.

    Args:
        chip: name of the board, as the catalogue has it; None where nobody said.
        chip_file: one more chip.
        machine: that this is; None looks.
        replay: what each rung may take.
        installed: runtimes that are here; None looks.
    """

    chip: str | None = None
    chip_file: Path | None = None
    machine: Machine | None = None
    replay: ReplayLimits = field(default_factory=ReplayLimits)
    installed: tuple[str, ...] | None = None


def activate_bundle(
    slots: Slots,
    source: Path,
    policy: Policy | None,
    *,
    allow_unsigned: bool = False,
    release: Release | None = None,
    device: Device | None = None,
    replay: Callable[[Bundle, Collection[str], ReplayLimits], tuple[str, ...]] = replay_golden,
) -> Held:
    """See the module for the steps. A bundle that is active already is left as it is, on trial or good.

    Args:
        slots: of the device.
        source: of the bundle; it is copied.
        policy: who is trusted; None where the owner names nobody.
        allow_unsigned: whether the owner said that this is meant.
        release: that brings it; None where somebody activates it by hand.
        device: what is known of it; None: nothing but what it tells itself.
        replay: replays the golden set, as `replay_golden`.

    Returns:
        The bundle in its slot, on trial.

    Raises:
        SlotError: something speaks against it; `reason` says what. What is active stays so.
        StorageError: the disk refused, or somebody else is activating.
        UsageError: a policy and `allow_unsigned`, or a chip that nobody knows.
    """
    if policy is not None and allow_unsigned:
        raise UsageError("whom to trust was said, and unsigned bundles were allowed", hint="leave one of the two out")
    known = device or Device()
    with slots.activating():
        sha256 = _hashed(source)
        record = slots.record()
        _check_known(sha256, record, release)
        active = slots.active()
        if active is not None and active.sha256 == sha256 and slots.is_sound(active):
            if release is not None:
                slots.seen(release.counter)
            return active

        def checks(bundle: Bundle) -> None:
            if bundle.sha256 != sha256:
                raise SlotError(f"{source} changed while it was copied", "hash", hint="activate it again")
            ladder = bundle.manifest.ladder
            check_signed(bundle, policy, allow_unsigned=allow_unsigned)
            recheck_counts(bundle)
            check_chip(ladder, release, known.chip, known.chip_file, known.machine or this_machine())
            replay(bundle, check_runtimes(ladder, known.installed), known.replay)

        try:
            held = slots.stage(source, checks, 0 if release is None else release.counter)
        except BundleError as error:
            raise SlotError(error.message, "hash", hint=error.hint) from error
        except SlotError as error:
            if error.reason in ITS_OWN_DOING:
                slots.refuse(sha256, error.reason, error.message)
            raise
        return slots.activate(held)


def _hashed(source: Path) -> str:
    try:
        return sha256_of(source)
    except BundleError as error:
        raise SlotError(error.message, "hash", hint=error.hint) from error


def _check_known(sha256: str, record: Record, release: Release | None) -> None:
    """Steps 1 and 2. Raises SlotError."""
    before = rules.refused(record, sha256)
    if before is not None:
        raise rules.refused_before(before)
    if release is None:
        return
    if sha256 != release.bundle_sha256:
        raise SlotError(
            f"the file has the hash {sha256[:12]}, the release names {release.bundle_sha256[:12]}",
            "hash",
            hint="fetch it again",
        )
    if sha256 in release.revoked:
        raise SlotError(f"the bundle {sha256[:12]} was revoked", "revoked", hint="its release names another one")
    check_counter(release.counter, record.counter)
    check_version(release.minimum_version)


__all__ = ["ITS_OWN_DOING", "Device", "activate_bundle"]
