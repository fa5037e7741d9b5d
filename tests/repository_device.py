"""A device of the tests: the real client over a real store, a bundle that it serves, and what may never happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import RepositoryError, StaleError, UnreachableError
from shoestring.base.limits import MAX_TARGETS_BYTES
from shoestring.domain.release import bundle_path, delta_path
from shoestring.trust.repository import Repository, Trusted
from signed_repository import DAY_S, DEVICE, GROUP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from repository_attacks import Scene

OUTCOMES = ("ok", "nothing", "older", "bad", "stale", "unreachable")
"""ok: the release was taken. nothing: the group has none for this device. older: a counter below the one taken, which
whoever asks refuses. The rest: the client's three errors."""


@dataclass
class Seen:
    """What one poll came to."""

    outcome: str
    rule: str = ""
    late_s: int = 0
    words: str = ""


@dataclass
class Device:
    """One device below a directory of its own."""

    folder: Path
    root: bytes
    client: Callable[..., Repository] = Repository
    counter: int = 0
    repository: Repository | None = None
    last: Trusted | None = None
    history: list[Seen] = field(default_factory=list)

    @property
    def store(self) -> Path:
        """Of the client."""
        return self.folder / "store"

    @property
    def running(self) -> bytes:
        """The bundle that it serves; empty before the first."""
        path = self.folder / "running.shoe"
        return path.read_bytes() if path.exists() else b""

    def trusted(self, scene: Scene) -> Trusted:
        """As a client that starts now would have it."""
        self.last = Repository(self.store, scene.serve(), self.root, scene.now_s).trusted
        return self.last

    def poll(self, scene: Scene, same: bool = False) -> Seen:
        """Refresh, ask for the release, take it; `same`: with the client of the poll before."""
        try:
            if self.repository is None or not same:
                self.repository = self.client(self.store, scene.serve(), self.root, scene.now_s)
            scene.serve()
            self.repository.refresh()
            seen = self._take(self.repository)
        except RepositoryError as error:
            seen = Seen("bad", rule=error.rule, words=error.message)
        except StaleError as error:
            seen = Seen("stale", late_s=error.late_s, words=error.message)
        except UnreachableError as error:
            seen = Seen("unreachable", words=error.message)
        self.history.append(seen)
        return seen

    def _take(self, repository: Repository) -> Seen:
        release = repository.release(GROUP, DEVICE)
        if release is None:
            return Seen("nothing")
        if release.counter < self.counter:
            return Seen("older")
        held = sha256_hex(self.running)
        for delta in release.deltas:  # a device that holds the old bundle takes what is shorter first
            if delta.old_sha256 == held:
                repository.fetch(delta_path(held, release.bundle_sha256), self.folder / "running.delta")
        repository.fetch(bundle_path(release.bundle_sha256), self.folder / "running.shoe")
        self.counter = release.counter
        return Seen("ok")


def held_to(device: Device, scene: Scene, step: dict[str, Any]) -> list[str]:
    """Poll, and say what is not as the case expects it; nothing is the good answer.

    Args:
        device, scene: as they stand.
        step: `expect` (an outcome), and where the case says so `rule`, `counter`, `late_days`, `trusted` (versions of
            root, timestamp, snapshot, targets after it), `recovers` (other keys: versions may start anew).
    """
    before = device.last if device.last is not None and not scene.damaged else device.trusted(scene)
    scene.damaged = False
    running, counter = device.running, device.counter
    around = {path for path in device.folder.parent.rglob("*") if device.store not in path.parents}
    scene.source.streams.clear()
    seen = device.poll(scene, step.get("same", False))
    after = device.trusted(scene)
    wrong = []
    if seen.outcome != step["expect"]:
        wrong.append(f"expected {step['expect']}, came {seen.outcome} ({seen.rule}: {seen.words})")
    if "rule" in step and seen.rule != step["rule"]:
        wrong.append(f"expected rule {step['rule']}, came {seen.rule or 'none'} ({seen.words})")
    if "late_days" in step and seen.late_s != step["late_days"] * DAY_S:
        wrong.append(f"expected {step['late_days']} days late, came {seen.late_s / DAY_S}")
    versions = (after.root, after.timestamp, after.snapshot, after.targets)
    old = (before.root, before.timestamp, before.snapshot, before.targets)
    if not step.get("recovers") and any(new < was for new, was in zip(versions, old, strict=True)):
        wrong.append(f"versions went back from {old} to {versions}")
    expected = tuple(step.get("trusted", old if seen.outcome != "ok" else versions))
    if versions != expected:
        wrong.append(f"expected versions {expected}, came {versions}")
    if seen.outcome == "ok":
        if step.get("counter", device.counter) != device.counter or device.counter < counter:
            wrong.append(f"expected release {step.get('counter')}, came {device.counter} after {counter}")
    elif (device.running, device.counter) != (running, counter):
        wrong.append("it no longer serves what it served")
    if step.get("serves", scene.workshop.bundle.decode() if seen.outcome == "ok" else None) not in (
        None,
        device.running.decode(),
    ):
        wrong.append("it serves a bundle that the workshop did not make")
    if any(stream.sent > MAX_TARGETS_BYTES + 1 for stream in scene.source.streams):
        wrong.append("it read more than the largest file of metadata may have")
    strange = {path for path in device.folder.parent.rglob("*") if device.store not in path.parents} - around
    strange -= {path for path in strange if path.parent == device.folder and path.name.startswith((".", "running"))}
    if strange - {device.folder, device.store}:
        wrong.append(f"files elsewhere: {sorted(map(str, strange))}")
    return wrong
