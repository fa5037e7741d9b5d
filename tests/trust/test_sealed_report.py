"""A report is its device's own word, in one form, or it is refused."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace

import pytest

from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import DataError, SignatureError
from shoestring.domain.report import REPORT_FORMAT, Report
from shoestring.trust import dsse
from shoestring.trust.keys import generate
from shoestring.trust.sealed_report import MAX_SEALED_BYTES, PAYLOAD_TYPE, open_report, seal_report

ADA, EVE = generate("ada"), generate("eve")
GOOD = Report(
    REPORT_FORMAT, ADA.public.key_id, "porch", 7, 1_800_000_000, "rolled-back", 3, "a" * 64, "b" * 64, "it crashed",
    "0.1.0", "raspberry-pi-4b-4gb", 12, 1,
)  # fmt: skip


def forged(report, key, *, bring=None, kind=PAYLOAD_TYPE):
    """As a device with its own program would send it."""
    payload = canonical.encode(report)
    envelope = dsse.Envelope(base64.b64encode(payload).decode(), dsse.sign(kind, payload, (key,)), kind)
    return canonical.encode({"envelope": envelope, "public_key": (bring or key).public.raw.hex()})


def test_what_was_sealed_is_read():
    data = seal_report(GOOD, ADA)
    assert open_report(data) == GOOD
    assert len(data) < MAX_SEALED_BYTES / 4
    longest = replace(GOOD, reason="\\" * 500, group="g" * 100, version="v" * 100, chip="c" * 100)
    assert open_report(seal_report(longest, ADA)) == longest


def test_a_device_speaks_for_itself_alone():
    with pytest.raises(SignatureError):
        seal_report(GOOD, EVE)
    for data in (forged(GOOD, EVE), forged(GOOD, EVE, bring=ADA), forged(GOOD, ADA, bring=EVE)):
        with pytest.raises(SignatureError):
            open_report(data)


def test_a_signature_for_another_purpose_is_none():
    with pytest.raises(DataError, match="of the type"):
        open_report(forged(GOOD, ADA, kind="application/vnd.in-toto+json"))
    data = json.loads(forged(GOOD, ADA, kind="application/vnd.in-toto+json"))
    data["envelope"]["payloadType"] = PAYLOAD_TYPE
    with pytest.raises(SignatureError):
        open_report(canonical.encode(data))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"sequence": 0}, {"state": "happy"}, {"counter": -1}, {"answers": -1}, {"errors": -5},
        {"reason": "x" * 501}, {"group": "g" * 101}, {"version": "1\n2"}, {"chip": "\x1b[2J"}, {"bundle_sha256": ""},
        {"bundle_sha256": "a" * 63}, {"running_sha256": "Z" * 64},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_on_both_sides(change):
    with pytest.raises(DataError):
        seal_report(replace(GOOD, **change), ADA)
    with pytest.raises(DataError):
        open_report(forged(replace(GOOD, **change), ADA))


def test_mutated_reports_are_refused_or_the_same():
    data, rng = seal_report(GOOD, ADA), random.Random("reports")
    for _ in range(500 * SCALE):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(changed))
            match rng.randrange(3):
                case 0:
                    changed[place] = rng.randrange(256)
                case 1:
                    del changed[place]
                case _:
                    changed.insert(place, rng.randrange(256))
        try:
            assert open_report(bytes(changed)) == GOOD
        except (DataError, SignatureError):
            continue
        assert bytes(changed) == data
    print(f"{500 * SCALE} mutated reports refused")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"x" * (MAX_SEALED_BYTES + 1), b"[" * 5000])
def test_what_is_none_is_refused(data):
    with pytest.raises(DataError):
        open_report(data)
