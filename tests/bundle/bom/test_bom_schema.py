"""Bills of materials of every kind of bundle, held against CycloneDX's own schema and against themselves."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from boms import KINDS, complaint, kind
from shoestring.base import canonical
from shoestring.bundle.bom import make_bom, making, with_bom
from shoestring.bundle.bom.tools import LIBRARIES


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_of_cyclonedx_holds(name: str) -> None:
    assert complaint(make_bom(*kind(name))) is None


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("components", 1, "type"), "model"),
        (("components", 1, "hashes", 0, "content"), "12"),
        (("components", 1, "modelCard", "quantitativeAnalysis", "performanceMetrics", 0, "value"), 0.9),
        (("metadata", "tools", "components", 0, "licenses", 0, "license", "id"), "Some Licence"),
        (("serialNumber",), "urn:uuid:1"),
        (("invented",), 1),
    ],
)
def test_the_validator_sees_what_breaks_the_schema(where: tuple[Any, ...], value: Any) -> None:
    """A validator that accepts everything would let the test above pass."""
    bom = copy.deepcopy(make_bom(*kind("classifier")))
    place: Any = bom
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    assert complaint(bom) is not None


def references(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every reference within a bill, with the key that holds it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from references(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from references(value, key)
    elif key in ("bom-ref", "ref", "dependsOn"):
        yield key, node


@pytest.mark.parametrize("name", KINDS)
def test_every_reference_leads_to_one_thing(name: str) -> None:
    found = list(references(make_bom(*kind(name))))
    names = [value for key, value in found if key == "bom-ref"]
    assert len(names) == len(set(names))
    assert {value for _, value in found} == set(names)


@pytest.mark.parametrize("name", KINDS)
def test_no_image_no_label_and_no_path_stand_in_it(name: str) -> None:
    manifest, evidence = kind(name)
    text = canonical.encode(make_bom(manifest, evidence)).decode()
    assert not [image for split in evidence.splits for image in split.images if image in text]
    assert not [label for label in manifest.labels if f'"{label}"' in text]
    assert "/home" not in text and "/tmp" not in text and "timestamp" not in text


def test_the_same_bundle_gives_the_same_bytes_in_any_process() -> None:
    words = (
        "import sys; from boms import kind; from shoestring.base import canonical; "
        "from shoestring.bundle.bom import make_bom; "
        "print(canonical.digest(make_bom(*kind('cascade'))))"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", words], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == canonical.digest(make_bom(*kind("cascade")))


def test_a_bill_says_nothing_of_an_older_one() -> None:
    manifest, evidence = kind("classifier")
    once, blobs = with_bom(manifest, evidence, {blob.sha256: b"" for blob in manifest.blobs})
    again, more = with_bom(once, evidence, blobs)
    assert again == once and more.keys() == blobs.keys()
    assert once.bom in more and len(more) == len(manifest.blobs) + 1


def test_what_is_not_known_is_said_and_not_invented() -> None:
    manifest, evidence = kind("student")
    bom = make_bom(manifest, evidence)
    for component in bom["components"]:
        if component["type"] in ("machine-learning-model", "data"):
            assert "licenses" not in component
    told = {item["name"]: item["value"] for item in bom["components"][0]["properties"]}
    assert told["shoestring:licence"].startswith("not known")
    libraries = [*bom["metadata"]["tools"]["components"], *bom["components"]]
    assert all("licenses" not in one for one in libraries if one["name"] not in LIBRARIES)


def test_figures_are_those_of_the_manifest_to_the_last_digit() -> None:
    manifest, evidence = kind("classifier")
    rung = manifest.ladder.rungs[0]
    bom = make_bom(manifest, evidence)
    component = next(one for one in bom["components"] if one["bom-ref"] == f"rung:{rung.name}")
    metrics = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    drop = next(one for one in metrics if one["type"] == "top-1 drop")
    score = rung.candidate.scores[0]
    assert float(drop["value"]) == score.paired.drop
    interval = drop["confidenceInterval"]
    assert (float(interval["lowerBound"]), float(interval["upperBound"])) == (score.drop_low, score.drop_high)
    certified = next(one for one in metrics if one["type"].endswith("certified at most"))
    assert rung.certificate is not None
    assert float(certified["value"]) == rung.certificate.max_drop
    assert rung.certificate.method in certified["slice"]


def test_the_serial_number_is_of_the_content() -> None:
    boms = [make_bom(*kind(name)) for name in KINDS]
    assert len({bom["serialNumber"] for bom in boms}) == len(KINDS)
    assert all(bom["serialNumber"] == making.serial(bom) for bom in boms)
