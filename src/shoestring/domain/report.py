"""What a device tells its fleet, where its owner asked it to."""

from __future__ import annotations

from dataclasses import dataclass

REPORT_FORMAT = 1
STATES = ("good", "trial", "rolled-back", "refused", "stale", "bad-repository", "unreachable")
"""good: the active bundle is confirmed. trial: activated, not confirmed yet. rolled-back: a bundle failed here and the
old one runs again. refused: a bundle never became active. stale: the repository is intact but out of date.
bad-repository: it is not what its signatures say. unreachable: told later, once there is a way again."""
FAILURES = ("rolled-back", "refused")
"""States that count as errors of the bundle they name, and halt a roll-out."""


@dataclass(frozen=True)
class Report:
    """One line of a device's story.

    Args:
        format: REPORT_FORMAT.
        device: id, the hash of its public key.
        group: of the fleet.
        sequence: from 1, one more with each report of the device; a collector keeps each once.
        when_s: the device's own clock, s since 1970; it may be wrong.
        state: one of STATES.
        counter: of the release that this is about; 0 where there is none.
        bundle_sha256: that this is about; empty where there is none.
        running_sha256: that answers now; empty where none does.
        reason: for people, of a failure; empty otherwise. At most 500 characters.
        version: of this project on the device.
        chip: as the catalogue names it, or the machine's own name.
        answers: given since the last report.
        errors: inputs that no rung could answer since the last report.
    """

    format: int
    device: str
    group: str
    sequence: int
    when_s: int
    state: str
    counter: int
    bundle_sha256: str
    running_sha256: str
    reason: str
    version: str
    chip: str
    answers: int = 0
    errors: int = 0
