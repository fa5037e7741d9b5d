"""Bundles that are not what they claim. One list of attacks, held against the real opener and against saboteurs."""

from __future__ import annotations

import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from factory import swap_blob
from hostile_bundles import ATTACKS, END_BYTES, GOOD, PARTS, TEXT, bundle_bytes, mutate, odd_manifest
from meters import Meter
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import BundleError, ShoestringError
from shoestring.bundle import Bundle, open_bundle, pack, recheck_counts
from shoestring.bundle.layout import MANIFEST_NAME, blob_name
from shoestring.device import Player
from shoestring.domain.manifest import Manifest

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile says so while it makes our attacks


def _strict(path: Path) -> None:
    open_bundle(path).close()


def _trusts_zipfile(path: Path) -> None:
    """A saboteur: reads through Python's archive reader, checks its checksums, skips the hashes and the strict JSON."""
    with zipfile.ZipFile(path) as opened:
        manifest = json.loads(opened.read(MANIFEST_NAME))
        if opened.testzip() is not None:
            raise BundleError("checksum")
        for blob in manifest["blobs"]:
            opened.read(blob_name(blob["sha256"]))


def _trusts_the_directory(path: Path) -> None:
    """A better saboteur: strict manifest and every hash, but entries are found through the archive's own directory."""
    with zipfile.ZipFile(path) as opened:
        manifest = canonical.decode(opened.read(MANIFEST_NAME), Manifest, BundleError)
        for blob in manifest.blobs:
            # None of these blobs is in planes, so that what the tool takes out is the content.
            if canonical.sha256_hex(opened.read(blob_name(blob.sha256))) != blob.sha256:
                raise BundleError("hash")


def _accepted(opener: Callable[[Path], None], path: Path) -> list[str]:
    """The attacks that an opener lets through. Whatever it raises counts as a refusal here."""
    through = []
    for name, attack in ATTACKS.items():
        path.write_bytes(attack())
        try:
            opener(path)
        except (TypeError, ValueError, LookupError, OSError, EOFError, RuntimeError, struct.error, zlib.error):
            continue
        except (zipfile.BadZipFile, ShoestringError):
            continue
        through.append(name)
    return through


def test_the_good_bundle_is_what_pack_writes(tmp_path: Path) -> None:
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    assert (tmp_path / "a.shoe").read_bytes() == GOOD
    for opener in (_strict, _trusts_zipfile, _trusts_the_directory):
        opener(tmp_path / "a.shoe")


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.shoe"
    data = ATTACKS[name]()
    assert data != GOOD
    path.write_bytes(data)
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    assert caught.value.message.isprintable() and len(caught.value.message) < 500
    assert caught.value.hint


def test_the_attacks_catch_an_opener_that_trusts_zipfile(tmp_path: Path) -> None:
    through = _accepted(_trusts_zipfile, tmp_path / "a.shoe")
    assert {"blob changed, checksum mended", "blobs swapped", "nothing compressed", "prefixed", "duplicate key"} <= set(
        through
    )
    assert len(through) > 20


def test_the_attacks_catch_an_opener_that_trusts_the_directory(tmp_path: Path) -> None:
    through = _accepted(_trusts_the_directory, tmp_path / "a.shoe")
    assert {"prefixed", "entry added", "nothing compressed", "extra field", "two bundles"} <= set(through)
    assert "blobs swapped" not in through


def test_no_single_bit_can_change(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.shoe", random.Random(0)
    structure = [*range(43), *range(len(GOOD) - END_BYTES - 300, len(GOOD))]
    positions = rng.sample(range(len(GOOD)), 400) + rng.sample(structure, 200)
    for position in positions:
        data = bytearray(GOOD)
        data[position] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(BundleError):
            open_bundle(path)


def test_random_damage_is_refused_and_nothing_else_is_raised(tmp_path: Path) -> None:
    path, rng, meter = tmp_path / "a.shoe", random.Random(1), Meter("unsigned, bytes changed")
    for _ in range(700 * SCALE):
        data = mutate(rng, GOOD, len(TEXT) + 43)
        if data == GOOD:
            continue
        path.write_bytes(data)
        with meter, pytest.raises(BundleError):
            open_bundle(path)
    meter.check()


def _use(bundle: Bundle) -> None:
    """Everything a device and an inspector do with an accepted bundle."""
    with bundle:
        recheck_counts(bundle)
        with Player(bundle) as player:
            list(player.classify(PARTS.golden_images[:1]))


def test_an_odd_manifest_is_refused_or_is_exactly_what_pack_writes(tmp_path: Path) -> None:
    """Whatever passes was a sound bundle of another content, and using it raises nothing but our own errors."""
    path, again, rng = tmp_path / "a.shoe", tmp_path / "b.shoe", random.Random(2)
    accepted, meter = 0, Meter("unsigned, manifest changed")
    for _ in range(700 * SCALE):
        try:
            text = odd_manifest(rng)
        except UnicodeEncodeError:
            continue
        path.write_bytes(bundle_bytes(text))
        with meter:
            try:
                bundle = open_bundle(path)
            except BundleError as error:
                assert error.message.isprintable()
                continue
        accepted += 1
        pack(again, bundle.manifest, PARTS.blobs)
        assert again.read_bytes() == path.read_bytes()
        try:
            _use(bundle)
        except ShoestringError:
            continue
    meter.check()
    print(f"{accepted} of {700 * SCALE} were sound bundles of another content")
    assert accepted > 10  # the mutations are not all so crude that nothing passes


@pytest.mark.parametrize("seed", range(3))
def test_odd_golden_sets_models_and_evidence_raise_only_our_errors(tmp_path: Path, seed: int) -> None:
    """An attacker who mends every hash still meets the parsers behind them."""
    rng, path = random.Random(seed), tmp_path / "a.shoe"
    golden = PARTS.manifest.golden
    chosen = PARTS.manifest.ladder.rung("int8").candidate.artefact_sha256
    targets = (golden.inputs, golden.outputs["int8"], PARTS.manifest.evidence, chosen)
    refused = 0
    for turn in range(40):
        old = targets[turn % len(targets)]
        data = bytearray(PARTS.blobs[old])
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(min(len(data), 200)) if rng.random() < 0.7 else rng.randrange(len(data))] = rng.choice(
                (0, 255, 57, rng.randrange(256))
            )
        manifest, blobs = swap_blob(PARTS, old, bytes(data))
        pack(path, manifest, blobs)
        try:
            _use(open_bundle(path))
        except ShoestringError:
            refused += 1
    assert refused > 20
