"""What a bill of materials in a bundle must keep: it speaks of this very bundle, in its hashes and in its figures.

1. Canonical JSON of at most MAX_BOM_BYTES and MAX_BOM_VALUES.
2. CycloneDX of the version that we write, with the serial number that its content gives.
3. Every part of the bundle stands in it under its name with its hash, and no other hash stands in a component.
4. The figures of each rung are those of the manifest, digit by digit, and no others.

Its words are free: they may change from version to version.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shoestring.base import canonical
from shoestring.base.limits import MAX_BOM_BYTES, MAX_BOM_VALUES
from shoestring.bundle.bom.facts import part_figures, part_hashes
from shoestring.bundle.bom.figures import number
from shoestring.bundle.bom.making import SPECIFICATION, serial
from shoestring.bundle.refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shoestring.bundle.bom.figures import Figure
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.manifest import Manifest

_Row = tuple[str, str, str | None, str | None]


def read_bom(data: bytes, manifest: Manifest, evidence: Evidence) -> dict[str, Any]:
    """Hold a bill of materials against the bundle that it lies in.

    Args:
        data: the blob.
        manifest, evidence: of the same bundle, checked.

    Returns:
        The bill.

    Raises:
        BundleError: the first rule that is broken.
    """
    bom = _parsed(data)
    if (bom.get("bomFormat"), bom.get("specVersion")) != ("CycloneDX", SPECIFICATION):
        raise _refuse(f"it is {bom.get('bomFormat')!r} {bom.get('specVersion')!r}, not CycloneDX {SPECIFICATION}")
    if bom.get("serialNumber") != serial(bom):
        raise _refuse(f"its serial number {bom.get('serialNumber')!r} is not that of its content, {serial(bom)}")
    components = _components(bom)
    _check_hashes(components, part_hashes(manifest, evidence))
    _check_figures(components, part_figures(manifest))
    return bom


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BOM_BYTES:
        raise _refuse(f"it has {len(data)} bytes, the limit is {MAX_BOM_BYTES}")
    values = sum(data.count(mark) for mark in (b",", b":", b"[", b"{"))
    if values > MAX_BOM_VALUES:
        raise _refuse(f"it holds {values} values, the limit is {MAX_BOM_VALUES}")
    try:
        bom = json.loads(data.decode("utf-8"), parse_int=_small)
        same = canonical.encode(bom) == data
    except (ValueError, RecursionError) as error:
        raise _refuse(f"not JSON that we write: {error}") from None
    if not same or not isinstance(bom, dict):
        raise _refuse("not an object in canonical form")
    return bom


def _small(digits: str) -> int:
    if len(digits) > canonical.MAX_INTEGER_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits, the limit is {canonical.MAX_INTEGER_DIGITS}")
    return int(digits)


def _components(bom: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Components by their reference, which each has once."""
    found: dict[str, dict[str, Any]] = {}
    listed = bom.get("components")
    for component in listed if isinstance(listed, list) else ():
        ref = component.get("bom-ref") if isinstance(component, dict) else None
        if not isinstance(ref, str) or ref in found:
            raise _refuse(f"a component's reference is {ref!r}, or there twice")
        found[ref] = component
    return found


def _check_hashes(components: dict[str, dict[str, Any]], wanted: dict[str, str]) -> None:
    for ref, sha256 in wanted.items():
        if ref not in components:
            raise _refuse(f"it leaves out {ref!r}")
        found = components[ref].get("hashes")
        if found != [{"alg": "SHA-256", "content": sha256}]:
            raise _refuse(f"of {ref!r} it has the hashes {found!r}, the bundle has {sha256}")
    for ref, component in components.items():
        if ref not in wanted and component.get("hashes") is not None:
            raise _refuse(f"it has a hash of {ref!r}, which is no part of the bundle")


def _check_figures(components: Mapping[str, dict[str, Any]], wanted: Mapping[str, tuple[Figure, ...]]) -> None:
    for ref, component in components.items():
        found = sorted(_rows(component), key=repr)
        claimed = sorted(map(_row, wanted.get(ref, ())), key=repr)
        odd = next((row for row in found if found.count(row) > claimed.count(row)), None)
        if odd is not None:
            raise _refuse(f"of {ref!r} it says {_words(odd)}, and the manifest does not")
        missing = next((row for row in claimed if row not in found), None)
        if missing is not None:
            raise _refuse(f"of {ref!r} it does not say {_words(missing)}")


def _row(figure: Figure) -> _Row:
    low, high = (None if end is None else number(end) for end in (figure.low, figure.high))
    return figure.kind, number(figure.value), low, high


def _rows(component: dict[str, Any]) -> Iterator[_Row]:
    """The figures that a component has, as text."""
    try:
        metrics = component.get("modelCard", {}).get("quantitativeAnalysis", {}).get("performanceMetrics", [])
        for metric in metrics:
            interval = metric.get("confidenceInterval", {})
            yield metric["type"], metric["value"], interval.get("lowerBound"), interval.get("upperBound")
    except (AttributeError, KeyError, TypeError):
        raise _refuse("a performance metric has not the form of one") from None


def _words(row: _Row) -> str:
    kind, value, low, high = row
    return f"{kind} {value}" if low is None and high is None else f"{kind} {value} ({low} to {high})"


def _refuse(message: str) -> Exception:
    return refuse(f"bill of materials: {message}")


__all__ = ["read_bom"]
