"""bom, device-key, encrypt and decrypt as they are typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from factory import make_bundle_parts
from shoestring.base import canonical
from shoestring.bundle import pack
from shoestring.bundle.bom import make_bom, with_bom
from shoestring.domain.manifest import Blob

PARTS = make_bundle_parts()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    pack(tmp_path / "a.shoe", *with_bom(PARTS.manifest, PARTS.evidence, PARTS.blobs))
    return tmp_path / "a.shoe"


def test_the_bill_is_printed_or_written(cli, made: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wanted = make_bom(PARTS.manifest, PARTS.evidence)
    for flags in ([], ["--json"]):
        said = cli("bom", made, *flags)
        assert (said.code, json.loads(said.out)) == (0, wanted)
    said = cli("bom", made, "-o", tmp_path / "a.json")
    assert (said.code, said.out) == (0, "") and "CycloneDX 1.6" in said.err
    assert (tmp_path / "a.json").read_bytes() == canonical.encode(wanted)
    said = cli("bom", made, "-o", tmp_path / "a.json", "--json")
    assert said.data["sha256"] == canonical.digest(wanted)


def test_a_bundle_from_before_says_so(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pack(tmp_path / "old.shoe", PARTS.manifest, PARTS.blobs)
    said = cli("bom", tmp_path / "old.shoe")
    assert said.code == 4 and "has no bill of materials" in said.err


def test_from_key_to_bundle(cli, made: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = cli("device-key", "-o", tmp_path / "device.key")
    recipient = said.out.strip()
    assert said.code == 0 and recipient.startswith("age1")
    assert cli("device-key", "-o", tmp_path / "device.key").code == 1
    other = cli("device-key", "-o", tmp_path / "other.key", "--json").data["recipient"]
    (tmp_path / "to.txt").write_text(f"{other}\n")
    said = cli("encrypt", made, "--to", recipient, "--to", tmp_path / "to.txt", "-o", tmp_path / "x.age", "--json")
    assert said.data["recipients"] == [recipient, other]
    for key in ("device.key", "other.key"):
        said = cli("decrypt", tmp_path / "x.age", "--identity", tmp_path / key, "-o", tmp_path / "b.shoe", "--json")
        assert said.code == 0
        assert (tmp_path / "b.shoe").read_bytes() == made.read_bytes()
        (tmp_path / "b.shoe").unlink()
    cli("device-key", "-o", tmp_path / "third.key")
    said = cli("decrypt", tmp_path / "x.age", "--identity", tmp_path / "third.key", "-o", tmp_path / "b.shoe")
    assert said.code == 4 and "not encrypted to this device" in said.err
    assert not (tmp_path / "b.shoe").exists()


def test_errors_are_ours(cli, made: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert cli("encrypt", made, "--to", "age1nobody", "-o", tmp_path / "x.age").code == 2
    assert cli("encrypt", made, "--to", tmp_path / "nowhere", "-o", tmp_path / "x.age").code == 1
    assert cli("decrypt", made, "--identity", tmp_path / "nowhere", "-o", tmp_path / "b.shoe").code == 1


def test_verify_holds_the_bill_against_the_bundle(cli, made: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = cli("verify", made)
    assert said.code == 0 and "the bill of materials is its own" in said.out
    other = make_bundle_parts(1)
    data = canonical.encode(make_bom(other.manifest, other.evidence))
    name = canonical.sha256_hex(data)
    listed = tuple(sorted([*PARTS.manifest.blobs, Blob(name, len(data))], key=lambda blob: blob.sha256))
    foreign = replace(PARTS.manifest, bom=name, blobs=listed)
    pack(tmp_path / "foreign.shoe", foreign, {**PARTS.blobs, name: data})
    said = cli("verify", tmp_path / "foreign.shoe")
    assert said.code == 4 and "bill of materials" in said.err
