"""Reports of devices with keys of their own."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shoestring.base import canonical
from shoestring.domain.report import REPORT_FORMAT, Report
from shoestring.fleet.collect.store import Received
from shoestring.trust.keys import PrivateKey, private_key
from shoestring.trust.sealed_report import seal_report

NOW_S = 1_800_000_000
OLD, NEW = "a" * 64, "b" * 64


@cache
def device(number: int) -> PrivateKey:
    """The same each time."""
    return private_key(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


def report(number: int, sequence: int = 1, **changes: object) -> Report:
    """What a device says when all is well."""
    key = device(number).public.key_id
    said = {"state": "good", "counter": 1, "bundle_sha256": NEW, "running_sha256": NEW, "reason": "", **changes}
    return Report(REPORT_FORMAT, key, "porch", sequence, NOW_S, version="0.1.0", chip="x", **said)  # type: ignore[arg-type]


def sealed(number: int, sequence: int = 1, **changes: object) -> bytes:
    """The same, on its way."""
    return seal_report(report(number, sequence, **changes), device(number))


def received(number: int, sequence: int = 1, at_s: int = NOW_S, **changes: object) -> Received:
    """The same, as it is kept."""
    one = report(number, sequence, **changes)
    return Received(one, canonical.digest(one), at_s)
