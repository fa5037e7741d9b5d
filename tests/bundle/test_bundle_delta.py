"""A delta gives the very bytes of the new bundle, or leaves everything as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import faults
import power
from factory import BundleParts, make_bundle_parts, swap_blob
from shoestring.base.errors import BundleError, StorageError
from shoestring.bundle import delta as delta_module
from shoestring.bundle import open_bundle, pack
from shoestring.bundle import stored as stored_module
from shoestring.bundle.delta import make_delta
from shoestring.bundle.delta_file import DeltaReader
from shoestring.bundle.patching import apply_delta

OLD = make_bundle_parts()
OTHER = make_bundle_parts(1)
NOISE = random.Random(0).randbytes(40_000)


def with_model(parts: BundleParts, content: bytes):
    """Manifest and blobs with another content in place of the fp32 model."""
    return swap_blob(parts, parts.manifest.ladder.rung("fp32").candidate.artefact_sha256, content)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    pack(tmp_path / "old.shoe", *with_model(OLD, NOISE))
    return tmp_path / "old.shoe"


def edited(content: bytes, seed: int) -> bytes:
    rng, data = random.Random(seed), bytearray(content)
    for _ in range(20):
        data[rng.randrange(len(data))] = rng.randrange(256)
    at = rng.randrange(len(data))
    return bytes(data[:at] + rng.randbytes(rng.randrange(50)) + data[at:])


@pytest.mark.parametrize("seed", range(3))
def test_the_result_is_the_new_bundle_byte_for_byte(tmp_path: Path, old: Path, seed: int) -> None:
    new, delta, out = tmp_path / "new.shoe", tmp_path / "d", tmp_path / "out.shoe"
    sha256 = pack(new, *with_model(make_bundle_parts(seed), edited(NOISE, seed)))
    made = make_delta(old, new, delta)
    assert apply_delta(old, delta, out) == sha256
    assert out.read_bytes() == new.read_bytes()
    assert made.delta_bytes == delta.stat().st_size
    assert (made.old_bytes, made.new_bytes) == (old.stat().st_size, new.stat().st_size)
    files = {file.what: file for file in made.files}
    assert files["fp32"].how == "patch" and files["fp32"].sent_bytes < 2_000
    assert files["manifest"].how == "patch" and files["manifest"].sent_bytes > 0
    if seed == 0:  # the same parts, but for that model
        assert [file.what for file in made.files if file.how != "unchanged"] == ["manifest", "fp32"]
    with delta.open("rb") as stream:
        parts = DeltaReader(stream).delta.parts
    assert sum(part.size_bytes for part in parts) == sum(file.sent_bytes for file in made.files)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds=st.tuples(st.integers(0, 3), st.integers(0, 3)), noise=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_any_bundle_comes_from_any_other(tmp_path: Path, seeds: tuple[int, int], noise: tuple[int, int]) -> None:
    one, other, delta, out = (tmp_path / name for name in ("a.shoe", "b.shoe", "d", "out.shoe"))
    for path, seed, change in zip((one, other), seeds, noise, strict=True):
        pack(path, *with_model(make_bundle_parts(seed), edited(NOISE, change)))
    make_delta(one, other, delta)
    apply_delta(one, delta, out)
    assert out.read_bytes() == other.read_bytes()


def test_nothing_but_the_manifest_is_sent_between_equal_bundles(tmp_path: Path, old: Path) -> None:
    made = make_delta(old, old, tmp_path / "d")
    assert {file.how for file in made.files[1:]} == {"unchanged"}
    assert made.delta_bytes < 1_500
    apply_delta(old, tmp_path / "d", tmp_path / "out.shoe")
    assert (tmp_path / "out.shoe").read_bytes() == old.read_bytes()


def test_the_old_bundle_can_be_replaced_in_place(tmp_path: Path, old: Path) -> None:
    sha256 = pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    apply_delta(old, tmp_path / "d", old)
    with open_bundle(old) as bundle:
        assert bundle.sha256 == sha256


def test_deltas_are_deterministic(tmp_path: Path, old: Path) -> None:
    pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    for name in ("one", "two"):
        make_delta(old, tmp_path / "new.shoe", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_large_blobs_are_sent_whole(tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_module, "MAX_PATCHED_BYTES", 30_000)
    pack(tmp_path / "new.shoe", *with_model(OLD, edited(NOISE, 1)))
    made = make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    (file,) = [file for file in made.files if file.what == "fp32"]
    assert file.how == "whole" and file.sent_bytes == file.stored_bytes
    apply_delta(old, tmp_path / "d", tmp_path / "out.shoe")
    assert (tmp_path / "out.shoe").read_bytes() == (tmp_path / "new.shoe").read_bytes()


def _other_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if zlib were another one, whose streams are good but not the same."""
    real = stored_module.zlib.compressobj

    def other(level: int, method: int, window: int, memory: int, strategy: int):
        return real(1, method, window, memory, strategy)

    monkeypatch.setattr(stored_module.zlib, "compressobj", other)


def test_another_zlib_on_the_device_is_refused_and_named(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    _other_zlib(monkeypatch)
    with pytest.raises(BundleError, match="zlib"):
        apply_delta(old, tmp_path / "d", tmp_path / "out.shoe")
    assert not (tmp_path / "out.shoe").exists()


def test_another_zlib_in_the_workshop_sends_more(tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored forms that this zlib does not make are sent as they are; so the delta works with any."""
    with monkeypatch.context() as patched:
        _other_zlib(patched)
        pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    made = make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    assert {file.how for file in made.files if file.what == "evidence"} == {"whole"}
    apply_delta(old, tmp_path / "d", tmp_path / "out.shoe")
    assert (tmp_path / "out.shoe").read_bytes() == (tmp_path / "new.shoe").read_bytes()


def test_a_blob_in_another_form_is_sent_as_almost_nothing(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _other_zlib(patched)
        pack(tmp_path / "old1.shoe", *with_model(OLD, NOISE))
    made = make_delta(tmp_path / "old1.shoe", old, tmp_path / "d")
    (file,) = [file for file in made.files if file.what == "evidence"]
    assert file.how == "patch" and file.sent_bytes < 200
    apply_delta(tmp_path / "old1.shoe", tmp_path / "d", tmp_path / "out.shoe")
    assert (tmp_path / "out.shoe").read_bytes() == old.read_bytes()


def test_the_wrong_old_bundle_is_refused(tmp_path: Path, old: Path) -> None:
    pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    with pytest.raises(BundleError, match="the delta is for the bundle"):
        apply_delta(tmp_path / "new.shoe", tmp_path / "d", tmp_path / "out.shoe")


def test_missing_files_are_named(tmp_path: Path, old: Path) -> None:
    with pytest.raises(StorageError, match="none"):
        make_delta(old, tmp_path / "none", tmp_path / "d")
    with pytest.raises(StorageError, match="none"):
        apply_delta(old, tmp_path / "none", tmp_path / "out.shoe")
    with pytest.raises(BundleError, match="not a regular file"):
        apply_delta(old, tmp_path, tmp_path / "out.shoe")


def _patching(old: Path, delta: Path) -> tuple[Callable[[Path], None], Callable[[Path], None]]:
    """What lays the two out, and what patches the old bundle in its place unless that was done."""
    before, promise = old.read_bytes(), delta.read_bytes()

    def prepare(root: Path) -> None:
        (root / "a.shoe").write_bytes(before)
        (root / "d").write_bytes(promise)

    def act(root: Path) -> None:
        if (root / "a.shoe").read_bytes() == before:
            apply_delta(root / "a.shoe", root / "d", root / "a.shoe")

    return prepare, act


def test_the_old_bundle_survives_every_refusal_and_every_cut(tmp_path: Path, old: Path) -> None:
    pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    before, new = old.read_bytes(), (tmp_path / "new.shoe").read_bytes()
    prepare, act = _patching(old, tmp_path / "d")
    assert faults.at_every_point(faults.Attempt(prepare, act, lambda root: (root / "a.shoe").read_bytes())) > 50

    def patch(root: Path, done: power.Done) -> None:
        act(root)
        done("patched")

    def check(root: Path, done: tuple[str, ...]) -> None:
        assert (root / "a.shoe").read_bytes() in ((new,) if done else (before, new))

    scenario = power.Scenario(prepare, patch, check)
    assert power.cut(scenario, seed=8) > 10
    assert power.drop_each(scenario, seed=8) == []


def test_a_promise_that_is_not_kept_leaves_nothing(tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound result that is not the promised one is refused."""
    pack(tmp_path / "new.shoe", OTHER.manifest, OTHER.blobs)
    real = delta_module.Delta
    monkeypatch.setattr(delta_module, "Delta", lambda **fields: replace(real(**fields), new_sha256="0" * 64))
    make_delta(old, tmp_path / "new.shoe", tmp_path / "d")
    with pytest.raises(BundleError, match="as promised"):
        apply_delta(old, tmp_path / "d", tmp_path / "out.shoe")
    assert not (tmp_path / "out.shoe").exists()
