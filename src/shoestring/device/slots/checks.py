"""What speaks against a bundle on this device, each check by itself; they read nothing but the manifest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoestring._version import __version__
from shoestring.base.errors import SignatureError, SlotError, UsageError
from shoestring.chips.loading import chip_named
from shoestring.runtimes import registry, writers

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.bundle import Bundle
    from shoestring.domain.chip import Chip
    from shoestring.domain.cost import Machine
    from shoestring.domain.ladder import Ladder
    from shoestring.domain.release import Release
    from shoestring.trust.policy import Policy

_VERSION = re.compile(r"^(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


def check_counter(counter: int, floor: int) -> None:
    """Raises SlotError for a release older than one that was activated or seen here."""
    if counter < floor:
        raise SlotError(
            f"the release has the counter {counter}, and one with {floor} was here already",
            "revoked",
            hint="publish it again with a larger counter",
        )


def check_version(minimum: str, ours: str = __version__) -> None:
    """Raises SlotError where this project is too old for the bundle, or the version cannot be read."""
    wanted, here = (_VERSION.match(one) for one in (minimum, ours))
    if wanted is None or here is None:
        raise SlotError(f"{minimum!r} is no version that we could compare with {ours}", "version")
    if tuple(map(int, here.groups())) < tuple(map(int, wanted.groups())):
        raise SlotError(
            f"the bundle needs version {minimum} of this project, here is {ours}", "version", hint="update it first"
        )


def check_signed(bundle: Bundle, policy: Policy | None, *, allow_unsigned: bool) -> tuple[str, ...]:
    """Whose signatures count; empty where nobody's is asked for.

    Raises:
        UsageError: signatures are demanded and waived at once.
        SlotError: nobody who is trusted signed it, or nobody said who is trusted.
    """
    if policy is not None and allow_unsigned:
        raise UsageError("whom to trust was said, and unsigned bundles were allowed", hint="leave one of the two out")
    if policy is None:
        if allow_unsigned:
            return ()
        raise SlotError(
            "nobody said whose signature is trusted",
            "signature",
            hint="name a file of trusted keys, or allow unsigned bundles in so many words",
        )
    from shoestring.bundle.signing import check_signatures

    try:
        return check_signatures(bundle, policy)
    except SignatureError as error:
        raise SlotError(error.message, "signature", hint=error.hint) from error


def check_chip(
    ladder: Ladder, release: Release | None, chip: str | None, chip_file: Path | None, machine: Machine
) -> None:
    """Whether this is the board that the bundle was made for.

    1. A release that names a chip is for devices that were told to be that one.
    2. A ladder whose costs were predicted for chips is for these; where nobody said what this board is, its processor
       must at least have their instruction sets.
    3. A board that was said to be a chip has that chip's instruction sets, or the saying is wrong.

    Raises:
        SlotError: it is not.
        UsageError, DataError: as `chip_named`.
    """
    here = None if chip is None and chip_file is None else chip_named(chip, chip_file)
    if here is not None:
        _check_isa(here, machine, f"this board is said to be a {here.name}")
    if release is not None and release.chip is not None and (here is None or here.name != release.chip):
        said = "nobody said what this board is" if here is None else f"this is a {here.name}"
        raise SlotError(f"the release is for {release.chip}, {said}", "chip", hint="--chip says what this board is")
    predicted = [rung.candidate.cost.predicted for rung in ladder.rungs]
    names = sorted({one.chip for one in predicted if one is not None})
    if here is not None and names and here.name not in names:
        raise SlotError(
            f"the ladder was made for {', '.join(names)}, this is a {here.name}", "chip", hint="fit it for this chip"
        )
    for name in names if here is None else ():
        try:
            made_for = chip_named(name)
        except UsageError:  # of a file that stayed in the workshop
            continue
        _check_isa(made_for, machine, f"the ladder was made for {name}")


def check_runtimes(ladder: Ladder, installed: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Names of rungs whose runtime is not here; the governor does without them.

    Args:
        ladder: of the bundle.
        installed: runtimes that are here; None looks.

    Raises:
        SlotError: the chosen rung's is missing, or one of the cascade's stages.
    """
    here = (*registry.installed(), *writers.installed()) if installed is None else installed
    stages = () if ladder.cascade is None else tuple(stage.rung for stage in ladder.cascade.stages)
    needed = {ladder.chosen, *stages}
    offered = {one.name for one in ladder.offered or ()}
    absent = {
        rung.name: rung.candidate.runtime
        for rung in ladder.runnable
        if rung.name not in offered and rung.candidate.runtime not in here
    }
    missing = sorted({absent[name] for name in needed if name in absent})
    if missing:
        raise SlotError(
            f"the bundle needs the runtime {', '.join(missing)}, which is not installed here",
            "runtime",
            hint="docs/runtimes.md says how each is installed",
        )
    return tuple(absent)


def _check_isa(chip: Chip, machine: Machine, why: str) -> None:
    lacking = sorted(set(chip.isa) - set(machine.isa))
    if lacking:
        raise SlotError(f"{why}, and this processor ({machine.name}) lacks {', '.join(lacking)}", "chip")


__all__ = ["check_chip", "check_counter", "check_runtimes", "check_signed", "check_version"]
