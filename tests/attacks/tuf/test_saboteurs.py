"""A client with any one check taken out fails a case: the catalogue sees each of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proof_scale import SCALE
from repository_cases import read_cases, run_case
from shoestring.trust import floor
from shoestring.trust.repository import client, core, download, release, store, walk

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {case.name: case for case in read_cases(Path(__file__).parent / "cases")}


def no_expiry(patch: pytest.MonkeyPatch) -> None:
    """Whatever was signed once is good for ever."""
    from tuf.api.metadata import Signed

    patch.setattr(Signed, "is_expired", lambda self, reference=None: False)


def no_memory(patch: pytest.MonkeyPatch) -> None:
    """Nothing is held against what was trusted before."""
    patch.setattr(store.MetadataStore, "top", lambda self, role, keys: None)


def any_root_version(patch: pytest.MonkeyPatch) -> None:
    """A root need not be the next one."""
    from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

    kept = TrustedMetadataSet.update_root

    def update(self: Any, data: bytes) -> Any:
        self.root.version = json.loads(data)["signed"]["version"] - 1
        return kept(self, data)

    patch.setattr(TrustedMetadataSet, "update_root", update)


def no_length(patch: pytest.MonkeyPatch) -> None:
    """Files are read as far as they go (and then some, so that the test ends)."""
    kept = walk.read_small
    patch.setattr(walk, "read_small", lambda source, path, limit: kept(source, path, 20_000_000))


def no_threshold(patch: pytest.MonkeyPatch) -> None:
    """One good signature is enough for any role."""
    from tuf.api.metadata import VerificationResult

    patch.setattr(VerificationResult, "verified", property(lambda self: len(self.signed) >= 1))


def no_signatures(patch: pytest.MonkeyPatch) -> None:
    """None is."""
    from tuf.api.metadata import VerificationResult

    patch.setattr(VerificationResult, "verified", property(lambda self: True))


def no_floor(patch: pytest.MonkeyPatch) -> None:
    """The clock is believed."""
    patch.setattr(floor.Floor, "reference_s", lambda self, clock_s: clock_s)


def floor_from_the_clock(patch: pytest.MonkeyPatch) -> None:
    """The clock raises the floor."""
    kept = floor.Floor.reference_s

    def reference(self: floor.Floor, clock_s: float) -> float:
        self.raise_to(int(kept(self, clock_s)))
        return kept(self, clock_s)

    patch.setattr(floor.Floor, "reference_s", reference)


def unbounded_issue(patch: pytest.MonkeyPatch) -> None:
    """A release may say that it was signed whenever it likes."""
    patch.setattr(core.Chain, "ends_s", lambda self: 10**12)


def no_form(patch: pytest.MonkeyPatch) -> None:
    """Whatever python-tuf reads is read."""
    patch.setattr(core, "check_form", lambda what, data: None)


def no_names(patch: pytest.MonkeyPatch) -> None:
    """A role may have any name."""
    patch.setattr(walk, "check_role_name", lambda name: None)


def no_hash_of_files(patch: pytest.MonkeyPatch) -> None:
    """A download of the right length is the right one."""
    patch.setattr(download._Partial, "good", property(lambda self: self.held == self.wanted.size_bytes))


def no_hash_of_lists(patch: pytest.MonkeyPatch) -> None:
    """A snapshot of any content is the one that the timestamp names."""
    from tuf.api.metadata import MetaFile

    patch.setattr(MetaFile, "verify_length_and_hashes", lambda self, data: None)


def no_second_try(patch: pytest.MonkeyPatch) -> None:
    """A part that was wrong on the disk is never dropped for a new one."""
    kept = download._Partial.complete

    def complete(self: Any, source: Any) -> Any:
        kept(self, source)
        self.went_on = False
        return self

    patch.setattr(download._Partial, "complete", complete)


def one_epoch(patch: pytest.MonkeyPatch) -> None:
    """Other keys do not start the numbers anew."""
    patch.setattr(walk, "epoch", lambda roles: "one")


def no_bound_on_roles(patch: pytest.MonkeyPatch) -> None:
    """A row of delegations is followed to its end."""
    patch.setattr(walk, "MAX_VISITED_ROLES", 10_000)


def no_paths(patch: pytest.MonkeyPatch) -> None:
    """A role may list what it was not given."""
    from tuf.api.metadata import DelegatedRole

    patch.setattr(DelegatedRole, "is_delegated_path", lambda self, path: True)


def no_release_rules(patch: pytest.MonkeyPatch) -> None:
    """What a release says of itself is believed."""
    from shoestring.base.canonical import decode
    from shoestring.domain.release import Release

    patch.setattr(client, "read_release", lambda data, group, ends_s: decode(data, Release, ValueError))


def loose_json(patch: pytest.MonkeyPatch) -> None:
    """A release is read as any JSON would be."""
    import msgspec

    patch.setattr(release, "decode", lambda data, kind, error: msgspec.json.decode(data, type=kind))


SABOTEURS: tuple[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]], ...] = (
    (no_expiry, ("freeze-01", "freeze-02", "freeze-07", "freeze-08", "freeze-09")),
    (no_memory, ("rollback-01", "rollback-02", "rollback-03", "rollback-04", "rollback-08")),
    (any_root_version, ("fast-forward-07",)),
    (no_length, ("endless-data-01", "endless-data-02", "endless-data-04")),
    (no_threshold, ("key-compromise-01", "key-compromise-08", "key-compromise-16")),
    (no_signatures, ("arbitrary-install-03", "arbitrary-install-08", "key-compromise-04", "key-compromise-12")),
    (no_floor, ("freeze-03",)),
    (floor_from_the_clock, ("freeze-04",)),
    (unbounded_issue, ("key-compromise-13",)),
    (no_form, ("delegation-06", "form-03", "form-06", "form-11", "form-24")),
    (no_names, ("delegation-12",)),
    (no_hash_of_files, ("arbitrary-install-02", "malicious-mirror-10")),
    (no_hash_of_lists, ("freeze-06", "malicious-mirror-09")),
    (no_second_try, ("malicious-mirror-11",)),
    (one_epoch, ("fast-forward-04",)),
    (no_bound_on_roles, ("delegation-05",)),
    (no_paths, ("delegation-01", "delegation-10", "extraneous-dependency-04")),
    (no_release_rules, ("wrong-software-01", "wrong-software-06", "wrong-software-11")),
    (loose_json, ("extraneous-dependency-02", "wrong-software-10")),
)


@pytest.mark.parametrize(
    ("sabotage", "name"),
    [(sabotage, name) for sabotage, names in SABOTEURS for name in names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_client_without_the_check_fails_the_case(
    sabotage: Callable[[pytest.MonkeyPatch], None], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    assert _failed(name, tmp_path)


@pytest.mark.skipif(SCALE == 1, reason="every case against every saboteur: proof only")
@pytest.mark.parametrize("sabotage", [sabotage for sabotage, _ in SABOTEURS], ids=lambda value: value.__name__)
def test_how_many_cases_see_it(
    sabotage: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    seen = []
    for name in CASES:
        (tmp_path / name).mkdir()
        if _failed(name, tmp_path / name):
            seen.append(name)
    print(f"{sabotage.__name__}: {len(seen)} of {len(CASES)} cases")
    assert seen


def _failed(name: str, folder: Path) -> bool:
    """Whether the case ended otherwise than it says; a sabotaged client may break in any way."""
    try:
        return run_case(CASES[name], folder) != []
    except Exception:  # noqa: BLE001 - a client without one of its checks may break in any way; that is seen, too
        return True
