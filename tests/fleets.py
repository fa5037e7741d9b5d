"""Repositories of fleets to try things on: keys in the open, a clock that is set, bundles of the null runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from null_bundles import make_null_bundle
from shoestring.bundle import open_bundle
from shoestring.domain.release import Release, bin_of
from shoestring.fleet.repository.setup import init, set_group
from shoestring.fleet.repository.signers import Keyring
from shoestring.fleet.repository.workshop import LOCK, Workshop
from shoestring.trust.repository import Repository

NOW_S = 1_800_000_000
DAY_S = 86_400
GROUP = "porch"


@dataclass
class Site:
    """A repository with everything around it.

    Args:
        folder: for all of it.
        now_s: its workshop's clock.
    """

    folder: Path
    now_s: float = NOW_S
    keys: tuple[str, ...] = ("keys",)
    bundles: dict[str, Path] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "site"

    @property
    def workshop(self) -> Workshop:
        """As a new command would find it."""
        folders = tuple(self.folder / name for name in self.keys)
        return Workshop(self.path, Keyring(folders, lambda _: "", sealed=False), lambda: self.now_s)

    def bundle(self, name: str) -> Path:
        """A bundle unlike those of other names."""
        if name not in self.bundles:
            path = self.folder / f"{name}.shoe"
            make_null_bundle(path, busy_us=len(self.bundles) + 1)
            self.bundles[name] = path
        return self.bundles[name]

    def sha256(self, name: str) -> str:
        with open_bundle(self.bundle(name)) as bundle:
            return bundle.sha256

    def device(self, store: str, root: int = 1, now_s: float | None = None) -> Repository:
        """The real client over a store of that name, set up with a version of the root."""
        data = (self.path / "metadata" / f"{root}.root.json").read_bytes()
        clock_s = self.now_s if now_s is None else now_s
        return Repository(self.folder / "devices" / store, str(self.path), data, lambda: clock_s)

    def release(self, device: str, store: str | None = None) -> Release | None:
        """What a device is told, by the real client."""
        repository = self.device(store or device[:8])
        repository.refresh()
        return repository.release(GROUP, device)

    def files(self) -> dict[str, bytes]:
        """Every file of the repository."""
        found = sorted(path for path in self.path.rglob("*") if path.is_file() and path.name != LOCK)
        return {str(path.relative_to(self.path)): path.read_bytes() for path in found}


def make_site(folder: Path, *, waves: tuple[int, ...] | None = None, canaries: tuple[str, ...] = ()) -> Site:
    """A repository with one group."""
    site = Site(folder)
    init(site.workshop)
    set_group(site.workshop, GROUP, waves=waves, canaries=canaries)
    return site


def device_in(share: int) -> str:
    """Id of a device in that share of the group."""
    return next(name for name in map("{:064x}".format, range(100_000)) if bin_of(GROUP, name) == share)
