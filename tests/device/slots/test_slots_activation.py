"""Activating a bundle: every step refuses what it must, in its order, and what was active stays so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from null_bundles import CHEAP, DEAR, make_null_bundle
from shoestring.base.errors import SlotError, StorageError, UsageError
from shoestring.bundle import open_bundle, pack
from shoestring.bundle.signing import sign_bundle
from shoestring.device.slots import TRIAL, Device, ReplayLimits, Slots, activate_bundle
from shoestring.domain.release import RELEASE_FORMAT, Release
from shoestring.trust.keys import PrivateKey, generate
from shoestring.trust.policy import Policy
from slot_scenes import by_hand, make_bundles, make_slots, no_replay, settle, sha256_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def owner() -> PrivateKey:
    return generate("owner")


@pytest.fixture
def slots(tmp_path: Path, bundles: dict[str, Path]) -> Slots:
    """`one` is good."""
    made = make_slots(tmp_path / "slots")
    settle(made, bundles["one"])
    return made


def release_of(path: Path, counter: int = 2) -> Release:
    size = path.stat().st_size
    return Release(RELEASE_FORMAT, "porch", counter, "cam", sha256_of(path), size, 0, "0.1.0", None, (), ())


def refused(slots: Slots, path: Path, reason: str, words: str, **more: object) -> None:
    """It is refused so, and what was active stays so."""
    before = slots.active()
    more = {"allow_unsigned": True, "replay": no_replay, **more}
    with pytest.raises(SlotError, match=words) as caught:
        activate_bundle(slots, path, more.pop("policy", None), **more)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert slots.active() == before
    assert slots.begin().sha256 == before.sha256 if before is not None else True


def test_a_sound_bundle_is_on_trial(slots: Slots, bundles: dict[str, Path]) -> None:
    release = release_of(bundles["two"], 7)
    held = activate_bundle(slots, bundles["two"], None, allow_unsigned=True, release=release, replay=no_replay)
    assert (held.state, held.counter, slots.record().counter) == (TRIAL, 7, 7)
    assert activate_bundle(slots, bundles["two"], None, allow_unsigned=True, replay=no_replay) == slots.active()


def test_the_active_one_again_changes_nothing_unless_it_is_damaged(slots: Slots, bundles: dict[str, Path]) -> None:
    active = slots.active()
    assert active is not None
    assert by_hand(slots, bundles["one"]) == active
    active.path.write_bytes(b"rot")
    assert by_hand(slots, bundles["one"]).slot == "b"
    assert slots.begin().sha256 == active.sha256


def test_what_is_no_bundle(slots: Slots, tmp_path: Path, bundles: dict[str, Path]) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(bundles["two"].read_bytes()[:-7])
    refused(slots, junk, "hash", "not a sound bundle")
    refused(slots, tmp_path, "hash", "not a regular file")
    with pytest.raises(StorageError, match="cannot read"):
        by_hand(slots, tmp_path / "nowhere")


def test_another_file_than_the_release_names(slots: Slots, bundles: dict[str, Path]) -> None:
    refused(slots, bundles["two"], "hash", "the release names", release=release_of(bundles["three"]))


def test_a_revoked_bundle(slots: Slots, bundles: dict[str, Path]) -> None:
    release = release_of(bundles["two"])
    refused(
        slots, bundles["two"], "revoked", "was revoked", release=replace(release, revoked=(sha256_of(bundles["two"]),))
    )


def test_an_older_release(slots: Slots, bundles: dict[str, Path]) -> None:
    slots.seen(5)
    refused(slots, bundles["two"], "revoked", "the counter 4", release=release_of(bundles["two"], 4))


def test_a_newer_project_is_needed(slots: Slots, bundles: dict[str, Path]) -> None:
    release = replace(release_of(bundles["two"]), minimum_version="99.0.0")
    refused(slots, bundles["two"], "version", "needs version 99.0.0", release=release)


def test_another_chip_and_a_missing_runtime(slots: Slots, bundles: dict[str, Path]) -> None:
    release = replace(release_of(bundles["two"]), chip="coral-dev-board")
    refused(slots, bundles["two"], "chip", "is for coral-dev-board", release=release)
    refused(slots, bundles["two"], "runtime", "needs the runtime null", device=Device(installed=("native",)))
    assert slots.refused == ()  # all of that may be mended
    assert by_hand(slots, bundles["two"]).state == TRIAL


def test_signatures_are_asked_for(slots: Slots, bundles: dict[str, Path], owner: PrivateKey, tmp_path: Path) -> None:
    ours, theirs = Policy((owner.public,)), Policy((generate("other").public,))
    signed = tmp_path / "signed.shoe"
    sign_bundle(bundles["two"], [owner], signed)
    refused(slots, bundles["two"], "signature", "nobody said whose", allow_unsigned=False)
    refused(slots, bundles["two"], "signature", "it is not signed", policy=ours, allow_unsigned=False)
    refused(slots, signed, "signature", "nobody who is trusted", policy=theirs, allow_unsigned=False)
    with pytest.raises(UsageError, match="whom to trust"):
        activate_bundle(slots, signed, ours, allow_unsigned=True)
    assert activate_bundle(slots, signed, ours, replay=no_replay).state == TRIAL


def test_certificates_that_its_evidence_does_not_bear(slots: Slots, bundles: dict[str, Path], tmp_path: Path) -> None:
    """Claims one more win on the certification split, and is packed as a sound bundle is."""
    path = tmp_path / "better.shoe"
    with open_bundle(bundles["two"]) as bundle:
        manifest = bundle.manifest
        first = manifest.ladder.rungs[0]
        assert first.certificate is not None
        paired = first.certificate.paired
        better = replace(paired, wins=paired.wins + 1, variant_hits=paired.variant_hits + 1)
        rung = replace(first, certificate=replace(first.certificate, paired=better))
        ladder = replace(manifest.ladder, rungs=(rung, *manifest.ladder.rungs[1:]))
        pack(path, replace(manifest, ladder=ladder), {blob.sha256: bundle.read(blob.sha256) for blob in manifest.blobs})
    refused(slots, path, "hash", "the answers give")


def test_what_fails_here_is_refused_for_good(slots: Slots, tmp_path: Path) -> None:
    bad = tmp_path / "bad.shoe"
    make_null_bundle(bad, wrong=(DEAR,))
    with pytest.raises(SlotError, match="answers otherwise") as caught:
        activate_bundle(slots, bad, None, allow_unsigned=True)
    assert caught.value.reason == "golden"
    refused(slots, bad, "refused-before", "was refused on this device before .golden")
    assert not (slots.root / "b.shoe").exists()
    slots.forget(sha256_of(bad))
    with pytest.raises(SlotError, match="answers otherwise"):
        activate_bundle(slots, bad, None, allow_unsigned=True)


FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "crashes while loading": ({"crash_after": -1}, "crashed"),
    "crashes": ({"crash_after": 3}, "crashed"),
    "ends itself": ({"exit_after": 1}, "crashed"),
    "hangs": ({"hang_after": 2}, "hung"),
    "takes memory": ({"allocate_bytes": 120_000_000}, "crashed"),
    "answers nothing that is a number": ({"nan_after": 1}, "golden"),
    "answers otherwise each time": ({"unsteady": True}, "golden"),
    "refuses": ({"fail_after": 4}, "golden"),
}


@pytest.mark.parametrize("how", FAULTS)
def test_a_bundle_that_breaks_in_its_process(slots: Slots, tmp_path: Path, how: str) -> None:
    faults, reason = FAULTS[how]
    bad = tmp_path / "bad.shoe"
    make_null_bundle(bad, {CHEAP: faults})
    limits = ReplayLimits(seconds=3.0 if reason == "hung" else 60.0, memory_bytes=250_000_000)
    with pytest.raises(SlotError) as caught:
        activate_bundle(slots, bad, None, allow_unsigned=True, device=Device(replay=limits))
    assert caught.value.reason == reason
    assert [one.reason for one in slots.refused] == [reason]
    assert slots.begin().state == "good"


def test_without_memory_to_try_it_nobody_is_blamed(
    slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoestring.device.slots.replaying.available_bytes", lambda: 10_000_000)
    with pytest.raises(SlotError, match="are left") as caught:
        activate_bundle(slots, bundles["two"], None, allow_unsigned=True)
    assert caught.value.reason == "space"
    assert slots.refused == ()


def test_the_file_that_was_verified_is_the_one_that_is_replayed(
    slots: Slots, bundles: dict[str, Path], tmp_path: Path
) -> None:
    """Somebody who can write to the slot swaps the file while the golden set is replayed."""
    seen: list[str] = []

    def swapping(bundle, absent, limits):
        other = tmp_path / "other"
        other.write_bytes(bundles["three"].read_bytes())
        other.replace(bundle.path)
        seen.append(bundle.sha256)
        return ()

    refused(slots, bundles["two"], "hash", "was replaced after it was verified", replay=swapping)
    assert seen == [sha256_of(bundles["two"])]


def test_a_source_that_changes_while_it_is_copied(
    slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoestring.device.slots.activation.sha256_of", lambda _: sha256_of(bundles["three"]))
    refused(slots, bundles["two"], "hash", "changed while it was copied")


# --- saboteurs: an activation without one of its steps takes what it must not ----------------------------------------


def test_without_the_replay_a_wrong_bundle_is_activated(slots: Slots, tmp_path: Path) -> None:
    bad = tmp_path / "bad.shoe"
    make_null_bundle(bad, wrong=(DEAR,))
    assert by_hand(slots, bad).state == TRIAL


def test_without_the_signature_anybody_is_trusted(
    slots: Slots, bundles: dict[str, Path], owner: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy((owner.public,))
    monkeypatch.setattr("shoestring.device.slots.activation.check_signed", lambda *_, **__: ())
    assert activate_bundle(slots, bundles["two"], policy, replay=no_replay).state == TRIAL
    monkeypatch.undo()
    slots.fail("crashed")
    with pytest.raises(SlotError, match="not signed"):
        activate_bundle(slots, bundles["three"], policy, replay=no_replay)


def test_without_the_look_at_the_file_another_one_is_activated(
    slots: Slots, bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is found at the start, by its hash."""
    monkeypatch.setattr("shoestring.device.slots.slots.check_same", lambda *_: None)
    held = slots.stage(bundles["two"])
    held.path.write_bytes(bundles["three"].read_bytes())
    slots.activate(held)
    assert slots.begin().sha256 == sha256_of(bundles["one"])
