"""Names of roles, times after which they must be signed anew, and how shares are dealt out to waves.

Expiry is the limit on how long an attacker who holds the network can keep a device on old metadata (TUF specification,
section 1.5.2, freeze attacks): the oftener a key is at hand, the shorter its time can be.
"""

from __future__ import annotations

import re
from itertools import pairwise

from shoestring.base.errors import UsageError
from shoestring.domain.release import BINS, wave_role

TOP = ("root", "targets", "snapshot", "timestamp")
OFFLINE = ("root", "targets")
"""Roles whose keys can stay in a drawer between releases."""
ROLLOUT = "rollout"
"""Not a role of TUF: the keys that a new group's waves start with, and a word for all waves of all groups."""
KEY_NAMES = (*TOP, ROLLOUT)

DAY_S = 86_400
ROOT_S = 365 * DAY_S  # signed by hand; a year is what people remember to do, and a lost key must not lock a fleet out
TARGETS_S = (
    182 * DAY_S
)  # signed with each new bundle; half a year without one is possible, a year without a look is not
WAVE_S = 31 * DAY_S  # a roll-out is watched for days; its keys are near, so a month costs nobody anything
ONLINE_S = 7 * DAY_S  # signed by cron; a week gives room for a long holiday week-end with a broken cron
LIFE_S = {"root": ROOT_S, "targets": TARGETS_S, "snapshot": ONLINE_S, "timestamp": ONLINE_S}

DEFAULT_WAVES = (1, 10, 100)
MAX_WAVES = 10  # each is a role that every device of the group may have to fetch
MAX_GROUPS = 200  # every device fetches targets.json, which holds 100 paths a group: half a megabyte then
MAX_CANARIES = 100  # likewise
_GROUP = re.compile(r"^[a-z0-9][a-z0-9-]{0,39}$")
_DEVICE = re.compile(r"^[0-9a-f]{64}$")
RESERVED = ("bundles", "deltas", *KEY_NAMES)


def life_s(role: str) -> int:
    """How long a signature of a role is good for, s."""
    return LIFE_S.get(role, WAVE_S)


def check_group(name: str) -> str:
    """A plain word: it stands in paths and in names of roles. Raises UsageError."""
    if _GROUP.match(name) is None or name in RESERVED:
        raise UsageError(
            f"{name[:80]!r} cannot name a group",
            hint=f"at most 40 of a-z, 0-9 and '-', and none of {', '.join(RESERVED)}",
        )
    return name


def check_device(device: str) -> str:
    """The id of a device: the hash of its public key. Raises UsageError."""
    if _DEVICE.match(device) is None:
        raise UsageError(f"{device[:80]!r} is not a device's id", hint="64 hexadecimal digits, as the agent shows them")
    return device


def check_waves(waves: tuple[int, ...]) -> tuple[int, ...]:
    """Per cents of a group that run a release after each wave, growing, the last 100. Raises UsageError."""
    growing = all(a < b for a, b in pairwise(waves))
    if not waves or len(waves) > MAX_WAVES or not growing or waves[0] < 1 or waves[-1] != BINS:
        raise UsageError(
            f"waves {','.join(map(str, waves))} are not growing per cents that end with 100",
            hint=f"write --waves 1,10,100; at most {MAX_WAVES} of them",
        )
    return waves


def parse_waves(text: str) -> tuple[int, ...]:
    """Waves of `1,10,100`. Raises UsageError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= 3 for part in parts):
        raise UsageError(f"--waves {text[:80]!r} is not a list of per cents", hint="write --waves 1,10,100")
    return check_waves(tuple(map(int, parts)))


def wave_shares(waves: tuple[int, ...]) -> tuple[range, ...]:
    """The shares that each wave adds: 1,10,100 gives 0, 1 to 9, 10 to 99."""
    return tuple(range(low, high) for low, high in pairwise((0, *waves)))


def waves_of(group: str, count: int) -> tuple[str, ...]:
    """Names of the roles of a group with so many waves."""
    return tuple(wave_role(group, wave) for wave in range(1, count + 1))
