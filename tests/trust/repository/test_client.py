"""What a device asks, and what it may not."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from repository_attacks import Scene
from repository_device import Device
from shoestring.base import limits
from shoestring.base.errors import MissingExtraError, RepositoryError, UsageError
from shoestring.base.opens import check_relative
from shoestring.domain.release import bin_of, canary_path, share_path
from shoestring.trust.repository import Repository, Trusted
from shoestring.trust.repository.layout import metadata_path, target_file
from shoestring.trust.repository.told import moment
from signed_repository import DEVICE, GROUP, NOW_S, Workshop


def stick(shop: Workshop, folder: Path) -> str:
    """The repository as a directory."""
    for name, data in shop.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return str(folder)


def test_from_a_stick(tmp_path: Path) -> None:
    shop = Workshop()
    shop.release("one")
    repository = Repository(tmp_path / "store", stick(shop, tmp_path / "stick"), shop.root, lambda: NOW_S)
    assert repository.trusted == Trusted(1, 0, 0, 0)
    release = repository.release(GROUP, DEVICE)
    assert release is not None and (release.name, release.counter) == ("one", 1)
    assert repository.trusted == Trusted(1, 1, 1, 1)
    assert repository.floor_s == NOW_S
    repository.fetch(f"bundles/{release.bundle_sha256}.shoe", tmp_path / "out.shoe")
    assert (tmp_path / "out.shoe").read_bytes() == shop.bundle
    assert repository.release("nobody", DEVICE) is None
    with pytest.raises(RepositoryError) as told:
        repository.fetch("bundles/none.shoe", tmp_path / "none")
    assert told.value.rule == "listing"


def test_a_release_for_this_device_comes_first(tmp_path: Path, no_fsync: None) -> None:
    scene = Scene(tmp_path / "store")
    scene.release("one")
    device = Device(tmp_path, scene.workshop.root)
    made = scene.workshop.signed["cam.1"]["targets"][share_path(GROUP, bin_of(GROUP, DEVICE))]
    data = scene.workshop.files[target_file(share_path(GROUP, bin_of(GROUP, DEVICE)), made["hashes"]["sha256"])]
    scene.workshop.add_target(canary_path(GROUP, DEVICE), data.replace(b'"counter":1', b'"counter":7'), "cam.1")
    scene.workshop.push("cam.1")
    assert device.poll(scene).outcome == "ok"
    assert device.counter == 7


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "ä", "-", ".a", "a" * 101, "a\n"])
def test_names_become_paths_and_are_plain(tmp_path: Path, name: str) -> None:
    repository = Repository(tmp_path / "store", str(tmp_path), Workshop().root)
    for group, device in ((name, "device"), ("group", name)):
        with pytest.raises(UsageError):
            repository.release(group, device)


@pytest.mark.parametrize("root", [b"", b"{}", b'{"signed": {}, "signatures": []}', Workshop().root.replace(b"2", b"3")])
def test_a_root_that_is_not_sound_is_told_at_once(tmp_path: Path, root: bytes) -> None:
    with pytest.raises(RepositoryError):
        Repository(tmp_path / "store", str(tmp_path), root)


def test_what_it_needs_is_imported_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = "[name for name in ('tuf', 'cryptography', 'ssl') if name in sys.modules]"
    code = f"import sys, shoestring.trust.repository; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    monkeypatch.setitem(sys.modules, "tuf.ngclient._internal.trusted_metadata_set", None)
    with pytest.raises(MissingExtraError, match="tuf"):
        Repository(tmp_path / "store", str(tmp_path), Workshop().root)


def test_the_core_of_python_tuf_is_as_we_use_it() -> None:
    """It is not public: an update that moves it must fail here, by name."""
    from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
    from tuf.ngclient.config import EnvelopeType

    def arguments(function: object) -> list[str]:
        return list(inspect.signature(function).parameters)[1:]  # type: ignore[arg-type]

    assert arguments(TrustedMetadataSet.__init__) == ["root_data", "envelope_type"]
    assert arguments(TrustedMetadataSet.update_root) == ["data"]
    assert arguments(TrustedMetadataSet.update_timestamp) == ["data"]
    assert arguments(TrustedMetadataSet.update_snapshot) == ["data", "trusted"]
    assert arguments(TrustedMetadataSet.update_delegated_targets) == ["data", "role_name", "delegator_name"]
    assert arguments(TrustedMetadataSet.contains) == ["role", "delegator"]
    made = TrustedMetadataSet(Workshop().root, EnvelopeType.METADATA)
    assert made.root.version == 1
    assert made.reference_time.tzinfo is not None
    assert made.get("timestamp") is None


@pytest.mark.parametrize("time_s", [float("nan"), float("inf"), float("-inf"), -1e30, 1e30, 0.0, 1.8e9])
def test_any_clock_is_some_date(time_s: float) -> None:
    assert 1970 <= moment(time_s).year <= 9999


def test_every_path_of_the_layout_is_a_plain_one() -> None:
    for role in ("root", "timestamp", "cam.1", "../evil", "a/b"):
        for version in (None, 1):
            assert len(check_relative(metadata_path(role, version)).parts) == 2
    assert target_file("a/b.shoe", "00") == "targets/a/00.b.shoe"
    assert target_file("b.shoe", "00") == "targets/00.b.shoe"


def test_caps_are_as_the_page_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "repository.md").read_text()
    assert f"at most {limits.MAX_VISITED_ROLES} on the way" in page
    assert f"pieces of {limits.DOWNLOAD_PIECE_BYTES // limits.MIB} MiB" in page
    assert f"has {limits.METADATA_SECONDS / 60:.0f} minutes as a whole" in page
    assert f"less than {limits.MIN_BYTES_A_WINDOW // 1_000} kB" in page
    assert limits.RATE_WINDOW_SECONDS == 60
