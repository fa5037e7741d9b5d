"""Let the next wave of a group run what the waves before it run already, unless the reports speak against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import BudgetError, UsageError
from shoestring.fleet.repository.groups import releases_of, the_group
from shoestring.fleet.repository.releasing import put_waves
from shoestring.fleet.rollout import next_wave, promoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.domain.release import Release
    from shoestring.fleet.error_rate import Verdict
    from shoestring.fleet.repository.workshop import Workshop


@dataclass(frozen=True)
class Promoted:
    """What was done.

    Args:
        release: that goes on.
        wave: from 1, that runs it now too.
        per_cent: of the group that runs it now.
        verdict: that let it through; None where no reports were asked for.
    """

    release: Release
    wave: int
    per_cent: int
    verdict: Verdict | None


def promote(workshop: Workshop, name: str, judge: Callable[[Release], Verdict] | None) -> Promoted:
    """Let the next wave of a group run the newest release. Needs the keys of that wave.

    Args:
        workshop: where.
        name: of the group.
        judge: what the reports say about a release; None: nobody is asked.

    Raises:
        UsageError: no such group, or nothing to promote.
        BudgetError: the reports speak against it, or there are too few; says the figures.
        SignatureError, StorageError: see `Draft.commit`.
    """
    with workshop.changing() as (book, draft):
        group = the_group(book.targets.signed, name)
        before = releases_of(book.folder, group, draft.waves)
        found = next_wave(before)
        if found is None:
            raise UsageError(f"all of {name} runs its newest release", hint="publish a new bundle first")
        wave, release = found
        verdict = None if judge is None else judge(release)
        if verdict is not None and not verdict.passes:
            raise BudgetError(
                f"wave {wave} of {name} is halted: {verdict.words}",
                hint=f"revoke it: shoestring fleet revoke DIR {release.bundle_sha256[:12]}"
                if verdict.tally.failed
                else "wait for more reports, or allow more errors: --max-errors",
            )
        put_waves(draft, group, before, promoted(before))
        draft.commit()
        return Promoted(release, wave, group.waves[wave - 1], verdict)
