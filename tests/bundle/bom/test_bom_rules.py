"""A bill of materials that speaks of another bundle, or of other figures, is refused, however well formed it is."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boms import KINDS, kind
from factory import BundleParts, make_bundle_parts
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.base.limits import MAX_BOM_BYTES, MAX_BOM_VALUES
from shoestring.bundle import bom_rules, open_bundle, pack, recheck_counts
from shoestring.bundle.bom import make_bom, with_bom
from shoestring.bundle.bom.making import serial
from shoestring.bundle.rules import check_manifest
from shoestring.bundle.sizes import roles
from shoestring.domain.manifest import Blob

PARTS = make_bundle_parts()
OTHER = make_bundle_parts(1)


def sealed(bom: Any) -> bytes:
    """What an attacker does who knows the rules: the serial number is mended."""
    return canonical.encode({**bom, "serialNumber": serial(bom)})


def read(data: bytes, parts: BundleParts = PARTS) -> Any:
    return bom_rules.read_bom(data, parts.manifest, parts.evidence)


def changed(where: tuple[Any, ...], change: Callable[[Any], Any]) -> bytes:
    bom = copy.deepcopy(make_bom(PARTS.manifest, PARTS.evidence))
    place: Any = bom
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = change(place[where[-1]])
    return sealed(bom)


@pytest.mark.parametrize("name", KINDS)
def test_the_bill_of_every_kind_of_bundle_is_accepted(name: str) -> None:
    manifest, evidence = kind(name)
    bom = make_bom(manifest, evidence)
    assert bom_rules.read_bom(canonical.encode(bom), manifest, evidence) == bom


def test_a_bundle_carries_it_and_is_opened_with_it(tmp_path: Path) -> None:
    manifest, blobs = with_bom(PARTS.manifest, PARTS.evidence, PARTS.blobs)
    pack(tmp_path / "a.shoe", manifest, blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert bundle.bom() == make_bom(PARTS.manifest, PARTS.evidence)
        assert roles(bundle.manifest)[str(bundle.manifest.bom)] == "bill of materials"
        recheck_counts(bundle)


def test_a_bundle_without_one_is_what_it_was(tmp_path: Path) -> None:
    assert b'"bom"' not in canonical.encode(PARTS.manifest)
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert bundle.bom() is None


def _foreign(tmp_path: Path) -> Path:
    """A whole bundle, every hash right, with the bill of another one."""
    data = canonical.encode(make_bom(OTHER.manifest, OTHER.evidence))
    name = canonical.sha256_hex(data)
    listed = tuple(sorted([*PARTS.manifest.blobs, Blob(name, len(data))], key=lambda blob: blob.sha256))
    pack(tmp_path / "a.shoe", replace(PARTS.manifest, bom=name, blobs=listed), {**PARTS.blobs, name: data})
    return tmp_path / "a.shoe"


def test_the_bill_of_another_bundle_is_refused(tmp_path: Path) -> None:
    with open_bundle(_foreign(tmp_path)) as bundle:
        with pytest.raises(BundleError, match="bill of materials: of 'evidence' it has the hashes"):
            bundle.bom()
        with pytest.raises(BundleError, match="bill of materials"):
            recheck_counts(bundle)


def _form_alone(data: bytes) -> Any:
    """A saboteur: reads the form and the serial number, and does not ask whose bill it is."""
    bom = bom_rules._parsed(data)
    if bom["serialNumber"] != serial(bom):
        raise BundleError("serial number")
    return bom


def _hashes_alone(data: bytes) -> Any:
    """A saboteur: compares the hashes too, and believes every figure."""
    components = bom_rules._components(_form_alone(data))
    bom_rules._check_hashes(components, bom_rules.part_hashes(PARTS.manifest, PARTS.evidence))
    return data


METRICS = ("modelCard", "quantitativeAnalysis", "performanceMetrics")
LIES = {
    "another original": changed(("components", 0, "hashes", 0, "content"), lambda _: "0" * 64),
    "another model": changed(("components", 1, "hashes", 0, "content"), lambda _: "0" * 64),
    "another algorithm": changed(("components", 1, "hashes", 0, "alg"), lambda _: "SHA3-256"),
    "two hashes": changed(("components", 1, "hashes"), lambda hashes: hashes * 2),
    "no hash": changed(("components", 1), lambda one: {k: v for k, v in one.items() if k != "hashes"}),
    "a rung left out": changed(("components",), lambda all_: all_[:1] + all_[2:]),
    "a rung twice": changed(("components",), lambda all_: [*all_, all_[1]]),
    "a part that is none": changed(("components",), lambda all_: [*all_, {**all_[1], "bom-ref": "rung:more"}]),
    "another split": changed(("components", 4, "hashes", 0, "content"), lambda _: "1" * 64),
    "no components": changed(("components",), lambda _: None),
    "a component that is none": changed(("components", 0), lambda _: "original"),
}
FALSE_FIGURES = {
    "a better score": changed(("components", 1, *METRICS, 0, "value"), lambda _: "0.999"),
    "a smaller drop": changed(("components", 1, *METRICS, 2, "confidenceInterval", "upperBound"), lambda _: "0.0"),
    "no interval": changed(("components", 1, *METRICS, 2), lambda one: {**one, "confidenceInterval": {}}),
    "a figure left out": changed(("components", 1, *METRICS), lambda all_: all_[1:]),
    "a figure more": changed(("components", 1, *METRICS), lambda all_: [*all_, {**all_[0], "type": "top-0"}]),
    "a figure twice": changed(("components", 1, *METRICS), lambda all_: [*all_, all_[0]]),
    "no figures": changed(("components", 1, *METRICS[:2]), lambda _: {}),
    "figures of the original": changed(
        ("components", 0, "modelCard"),
        lambda card: {**card, METRICS[1]: {METRICS[2]: [{"type": "top-1", "value": "1.0"}]}},
    ),
    "figures of no form": changed(("components", 1, *METRICS, 0), lambda _: "good"),
}


@pytest.mark.parametrize("name", [*LIES, *FALSE_FIGURES])
def test_lies_are_refused(name: str) -> None:
    with pytest.raises(BundleError, match="bill of materials"):
        read({**LIES, **FALSE_FIGURES}[name])


def test_the_lies_catch_who_checks_less() -> None:
    """Each saboteur lets through what only the check that it lacks can see."""
    other = canonical.encode(make_bom(OTHER.manifest, OTHER.evidence))
    assert _form_alone(other)["bomFormat"] == "CycloneDX"
    for name in ("another original", "another model", "a rung left out"):
        _form_alone(LIES[name])
    with pytest.raises(BundleError):
        _hashes_alone(other)
    for data in FALSE_FIGURES.values():
        _hashes_alone(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "not CycloneDX"),
        (b'{"a":NaN}', "not JSON that we write"),
        (b'{"a":1,"a":1}', "canonical"),
        (b'{"a": 1}', "canonical"),
        (b'{"a":1e999}', "not JSON that we write"),
        (b'{"a":' + b"9" * 5_000 + b"}", "digits"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON that we write"),
        (b"[" * (MAX_BOM_VALUES + 1), f"{MAX_BOM_VALUES + 1} values, the limit is {MAX_BOM_VALUES}"),
        (b" " * (MAX_BOM_BYTES + 1), f"the limit is {MAX_BOM_BYTES}"),
        (b"\xff\xfe", "not JSON that we write"),
    ],
    ids=lambda value: str(value[:12]) if isinstance(value, bytes) else "",
)
def test_what_is_no_bill_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read(data)


def test_a_serial_number_of_other_content_is_refused() -> None:
    bom = make_bom(PARTS.manifest, PARTS.evidence)
    with pytest.raises(BundleError, match="serial number"):
        read(canonical.encode({**bom, "version": 2}))


def test_words_are_free() -> None:
    """They may change from version to version; a bundle of today stays readable."""
    bom = json.loads(changed(("components", 1, "description"), lambda _: "other words"))
    assert read(canonical.encode(bom)) == bom


def test_mutated_bills_are_refused_or_say_the_same() -> None:
    rng, accepted = random.Random(11), 0
    data = canonical.encode(make_bom(PARTS.manifest, PARTS.evidence))
    for _ in range(400 * SCALE):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(broken))
            broken[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        if bytes(broken) == data:
            continue
        try:
            read(bytes(broken))
        except BundleError:
            continue
        accepted += 1
    print(f"{400 * SCALE:,} mutated bills of materials, seed 11: {accepted} accepted")
    assert accepted == 0  # the serial number is of every byte


def test_manifests_that_misname_the_bill_are_refused() -> None:
    manifest, _ = with_bom(PARTS.manifest, PARTS.evidence, PARTS.blobs)
    check_manifest(manifest)
    with pytest.raises(BundleError, match="bill of materials is 'x', which is not among the blobs"):
        check_manifest(replace(manifest, bom="x"))
    with pytest.raises(BundleError, match="is named by nothing"):
        check_manifest(replace(manifest, bom=None))
    listed = tuple(
        replace(blob, size_bytes=MAX_BOM_BYTES + 1) if blob.sha256 == manifest.bom else blob for blob in manifest.blobs
    )
    with pytest.raises(BundleError, match=f"the limit is {MAX_BOM_BYTES}"):
        check_manifest(replace(manifest, blobs=listed))
