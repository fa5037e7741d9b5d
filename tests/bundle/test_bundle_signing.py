"""Signatures inside a bundle: added, taken off, carried by deltas, and checked with unzip and openssl alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from factory import make_bundle_parts
from shoestring.base import canonical
from shoestring.base.errors import BundleError, SignatureError
from shoestring.base.limits import MAX_SIGNATURES
from shoestring.bundle import open_bundle, pack
from shoestring.bundle.delta import make_delta
from shoestring.bundle.layout import SIGNATURES_NAME
from shoestring.bundle.patching import apply_delta
from shoestring.bundle.signing import check_signatures, sign_bundle, strip_signatures
from shoestring.trust.key_files import public_pem
from signers import ADA, BOB, EVE, signer, trusting

PARTS = make_bundle_parts()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    return tmp_path / "a.shoe"


def test_signatures_are_added_and_the_rest_stays_byte_for_byte(path: Path) -> None:
    plain = path.read_bytes()
    done = sign_bundle(path, [ADA])
    first = path.read_bytes()
    assert done.sha256 == hashlib.sha256(first).hexdigest() and done.key_ids == (ADA.public.key_id,)
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        last = opened.infolist()[-1]
        assert (last.filename, last.compress_type) == (SIGNATURES_NAME, zipfile.ZIP_STORED)
        begin = opened.infolist()[-1].header_offset
    assert first[:begin] == plain[:begin]  # all but the archive's directory
    sign_bundle(path, [BOB])
    both = path.read_bytes()
    with open_bundle(path) as bundle:
        assert check_signatures(bundle, trusting(ADA, BOB, threshold=2)) == tuple(
            sorted((ADA.public.key_id, BOB.public.key_id))
        )
    for people in ([ADA], [BOB, ADA], [ADA, BOB, ADA]):
        sign_bundle(path, people)
        assert path.read_bytes() == both
    strip_signatures(path)
    assert path.read_bytes() == plain
    sign_bundle(path, [BOB, ADA])
    assert path.read_bytes() == both


def test_another_file_can_be_written(path: Path, tmp_path: Path) -> None:
    plain = path.read_bytes()
    sign_bundle(path, [ADA], tmp_path / "b.shoe")
    assert path.read_bytes() == plain
    strip_signatures(tmp_path / "b.shoe", tmp_path / "c.shoe")
    assert (tmp_path / "c.shoe").read_bytes() == plain
    assert not stat.S_IMODE((tmp_path / "b.shoe").stat().st_mode) & 0o111


def test_who_signed_and_who_is_missing_is_said(path: Path) -> None:
    with open_bundle(path) as bundle, pytest.raises(SignatureError, match=r"a\.shoe: it is not signed; 1 of 1"):
        check_signatures(bundle, trusting(ADA))
    sign_bundle(path, [ADA])
    with open_bundle(path) as bundle:
        with pytest.raises(SignatureError, match=r"signed by Ada \(\w+\) alone; 2 of 2 .*missing: Bob"):
            check_signatures(bundle, trusting(ADA, BOB, threshold=2))
        with pytest.raises(SignatureError, match="signed by nobody who is trusted"):
            check_signatures(bundle, trusting(EVE))
    with pytest.raises(SignatureError, match="no key was given"):
        sign_bundle(path, [])


def test_no_more_than_the_limit_sign_and_the_file_stays(path: Path) -> None:
    people = [signer(str(number)) for number in range(MAX_SIGNATURES)]
    sign_bundle(path, people)
    full = path.read_bytes()
    with pytest.raises(BundleError, match=f"{MAX_SIGNATURES + 1} signatures"):
        sign_bundle(path, [ADA])
    assert path.read_bytes() == full
    with open_bundle(path) as bundle:
        assert len(check_signatures(bundle, trusting(*people, threshold=MAX_SIGNATURES))) == MAX_SIGNATURES


def test_a_statement_that_is_too_long_is_refused(tmp_path: Path) -> None:
    pack(tmp_path / "a.shoe", replace(PARTS.manifest, name="n" * 60_000), PARTS.blobs)
    with pytest.raises(BundleError, match=r"an envelope of .* the limit is"):
        sign_bundle(tmp_path / "a.shoe", [ADA])
    assert [path.name for path in tmp_path.iterdir()] == ["a.shoe"]


def test_the_statement_says_what_the_bundle_is(path: Path) -> None:
    sign_bundle(path, [ADA])
    with zipfile.ZipFile(path) as opened:
        envelope, text = json.loads(opened.read(SIGNATURES_NAME)), opened.read("manifest.json")
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    said = json.loads(base64.b64decode(envelope["payload"]))
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["subject"] == [{"name": "manifest.json", "digest": {"sha256": hashlib.sha256(text).hexdigest()}}]
    predicate, manifest = said["predicate"], PARTS.manifest
    assert predicate["name"] == manifest.name and predicate["source_sha256"] == manifest.source_sha256
    assert predicate["artefacts"] == {rung.name: rung.candidate.artefact_sha256 for rung in manifest.ladder.rungs}
    assert predicate["budget"] == canonical.plain(manifest.budget)


PAGE = Path(__file__).parents[2] / "docs" / "signing.md"


def test_unzip_and_openssl_alone_verify_a_bundle(path: Path, tmp_path: Path) -> None:
    """By the very lines that docs/signing.md shows."""
    sign_bundle(path, [ADA])
    (tmp_path / "ada.pub").write_text(public_pem(ADA.public))
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)
    lines = block.replace("camera.shoe", "a.shoe").replace("ada.key.pub", "ada.pub")

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-ec", lines], cwd=tmp_path, capture_output=True, text=True, check=False)

    done = check()
    assert done.returncode == 0 and "Verified Successfully" in done.stdout, done.stderr
    said, found = re.findall(r"[0-9a-f]{64}", done.stdout)
    assert said == found
    (tmp_path / "ada.pub").write_text(public_pem(EVE.public))
    assert check().returncode != 0
    (tmp_path / "ada.pub").write_text(public_pem(ADA.public))
    other = make_bundle_parts(1)
    pack(tmp_path / "b.shoe", other.manifest, other.blobs)
    with zipfile.ZipFile(tmp_path / "b.shoe") as opened:
        text = opened.read("manifest.json")
    with zipfile.ZipFile(path) as opened:
        envelope = opened.read(SIGNATURES_NAME)
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("manifest.json", text)
        out.writestr(SIGNATURES_NAME, envelope)
    said, found = re.findall(r"[0-9a-f]{64}", check().stdout)
    assert said != found  # another manifest under the same signatures


def test_a_signed_bundle_opens_without_cryptography(path: Path) -> None:
    sign_bundle(path, [ADA])
    code = (
        "import sys\nsys.modules['cryptography'] = None\nfrom shoestring.bundle import open_bundle\n"
        f"with open_bundle({str(path)!r}) as bundle: print(len(bundle.signatures))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


STATES = ((), (ADA,), (ADA, BOB))


@pytest.mark.parametrize(("before", "after"), tuple(product(STATES, STATES)))
@pytest.mark.parametrize("same", (True, False))
def test_a_delta_gives_the_new_bundle_byte_for_byte(tmp_path: Path, before, after, same: bool) -> None:
    old, new, delta, made = (tmp_path / name for name in ("old.shoe", "new.shoe", "a.delta", "made.shoe"))
    parts = make_bundle_parts(0 if same else 1)
    pack(old, PARTS.manifest, PARTS.blobs)
    pack(new, parts.manifest, parts.blobs)
    for path, people in ((old, before), (new, after)):
        if people:
            sign_bundle(path, people)
    make_delta(old, new, delta)
    sha256 = apply_delta(old, delta, made)
    assert made.read_bytes() == new.read_bytes()
    assert sha256 == hashlib.sha256(new.read_bytes()).hexdigest()
    with open_bundle(made) as bundle:
        assert len(bundle.signatures) == len(after)
        if after:
            check_signatures(bundle, trusting(*after, threshold=len(after)))


def test_a_delta_is_for_a_bundle_with_its_signatures(path: Path, tmp_path: Path) -> None:
    """Another set of signatures is another file: the device fetches the whole one then."""
    sign_bundle(path, [ADA], tmp_path / "signed.shoe")
    make_delta(path, tmp_path / "signed.shoe", tmp_path / "a.delta")
    with pytest.raises(BundleError, match="the delta is for the bundle with SHA-256"):
        apply_delta(tmp_path / "signed.shoe", tmp_path / "a.delta", tmp_path / "made.shoe")


def test_a_delta_between_unsigned_bundles_is_what_it_was(path: Path, tmp_path: Path) -> None:
    parts = make_bundle_parts(1)
    pack(tmp_path / "b.shoe", parts.manifest, parts.blobs)
    make_delta(path, tmp_path / "b.shoe", tmp_path / "a.delta")
    head = (tmp_path / "a.delta").read_bytes()[21:]
    assert b'"signatures"' not in head[: head.index(b'"zlib"')]
