"""Put an agent together: its key, its memory, its client of the repository, its queue."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shoestring._version import __version__
from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.base.limits import MAX_ROOT_BYTES
from shoestring.chips.loading import chip_named
from shoestring.device.agent.agent import Agent, Place
from shoestring.device.agent.identity import device_key
from shoestring.device.agent.pacing import pace_of
from shoestring.device.agent.queue import ReportQueue
from shoestring.device.agent.reporting import Teller
from shoestring.device.agent.running import Days, Post
from shoestring.device.agent.sending import HttpSender, MqttSender
from shoestring.device.slots import Slots
from shoestring.device.slots.activation import Device, activate_bundle
from shoestring.trust.small_file import read_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.agent.sending import Sender
    from shoestring.device.service.notify import Heart
    from shoestring.domain.release import Release
    from shoestring.trust.policy import Policy

FOLDER = "agent"
"""Below the slots: the device's key, metadata, what is on its way, reports."""
TOKEN = "SHOESTRING_REPORT_TOKEN"
TOPIC = "shoestring/{device}/report"


@dataclass(frozen=True)
class Wishes:
    """What the owner of a device asked for.

    Args:
        slots: directory of them.
        repository: address or directory.
        root: file of the root metadata that came with the device.
        group: of the fleet.
        every_s: period of looking.
        chip: name of the board; None: nobody said.
        policy: whose signatures a bundle must carry besides; None: the repository's word is enough.
        report: address of a collector or broker; None: nobody is told.
        repository_ca, report_ca: certificates to trust in place of the system's.
    """

    slots: Path
    repository: str
    root: Path
    group: str
    every_s: float
    chip: str | None = None
    policy: Policy | None = None
    report: str | None = None
    repository_ca: Path | None = None
    report_ca: Path | None = None


def agent_folder(slots: Path) -> Path:
    """Where the agent of these slots keeps its things; made when missing. Raises StorageError."""
    return disk.make_directory(Path(slots) / FOLDER)


def start(
    wishes: Wishes,
    say: Callable[[str], None],
    *,
    heart: Heart | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall_s: Callable[[], float] = time.time,
) -> Days:
    """An agent that is ready to look.

    Args:
        wishes: of the owner.
        say: told what happens, for people.
        heart: told that we live; None where nobody listens.
        clock: monotonic, s.
        wall_s: s since 1970; it may be wrong.

    Raises:
        UsageError: a wish makes no sense; as MissingExtraError: a package is missing.
        RepositoryError, SignatureError: the root or the device's key is not sound.
        DataError: certificates cannot be read.
        StorageError: the disk refuses.
    """
    from shoestring.trust.repository import Repository
    from shoestring.trust.repository.release import check_plain

    check_plain("group", wishes.group)
    if wishes.chip is not None:
        chip_named(wishes.chip)  # a wrong name shall not wait for the first release to be found
    folder = agent_folder(wishes.slots)
    key = device_key(folder)
    device = key.public.key_id
    pace = pace_of(device, wishes.every_s)
    slots = Slots(wishes.slots, wall_s)
    repository = Repository(
        folder / "repository", wishes.repository, _root(wishes.root), wall_s, ca=wishes.repository_ca
    )
    known = Device(chip=wishes.chip)

    def activate(path: Path, release: Release) -> None:
        unsigned = wishes.policy is None  # the keys of the repository vouch for every byte of it
        activate_bundle(slots, path, wishes.policy, allow_unsigned=unsigned, release=release, device=known)

    place = Place(folder, device, wishes.group, wishes.chip, __version__, wishes.every_s)
    sender = _sender(wishes, device)
    if sender is None:
        return Days(Agent(place, slots, repository, activate, clock, say), pace, None, clock, say, heart)
    teller = Teller(key, wishes.group, __version__, wishes.chip or _machine(), wall_s)
    queue = ReportQueue(folder / "reports")
    agent = Agent(place, slots, repository, activate, clock, say, queue, teller)
    post = Post(queue, sender, pace_of(f"reports of {device}", wishes.every_s))
    return Days(agent, pace, post, clock, say, heart)


def _sender(wishes: Wishes, device: str) -> Sender | None:
    if wishes.report is None:
        return None
    scheme = urlsplit(wishes.report).scheme
    if scheme in ("mqtt", "mqtts"):
        topic = TOPIC.format(device=device)
        return MqttSender(wishes.report, topic, f"shoestring-{device[:16]}", os.environ, wishes.report_ca)
    if scheme not in ("http", "https"):
        raise UsageError(f"reports cannot be sent to {wishes.report!r}", hint="http://, https://, mqtt:// or mqtts://")
    return HttpSender(wishes.report, wishes.report_ca, os.environ.get(TOKEN))


def _machine() -> str:
    """The machine's own name, as one word of a report."""
    from shoestring.chips.host import this_machine

    name = "".join(one for one in this_machine().name if one.isprintable())
    return name[:100]


def _root(path: Path) -> bytes:
    long = f"{path} has more than {MAX_ROOT_BYTES} bytes: it is no root"
    return read_within(path, MAX_ROOT_BYTES, lambda: UsageError(long))[0]


__all__ = ["FOLDER", "TOKEN", "TOPIC", "Wishes", "agent_folder", "start"]
