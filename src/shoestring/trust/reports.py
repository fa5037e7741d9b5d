"""Reports as they travel: signed by the device, whose name is the hash of the key that signed.

So nobody can report for a device without its key, and a collector needs no list of devices to know that. Which devices
belong to the fleet at all is the collector's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shoestring.base import canonical
from shoestring.base.errors import SignatureError
from shoestring.domain.report import REPORT_FORMAT, STATES, Report
from shoestring.trust import dsse
from shoestring.trust.keys import KEY_BYTES, PublicKey

if TYPE_CHECKING:
    from shoestring.trust.keys import PrivateKey

REPORT_TYPE = "application/vnd.shoestring.report+json"
MAX_REPORT_BYTES = 16 * 1024
"""A report with the longest reason, all of it in four-byte characters, takes 3 kB, and a third more in base64."""
MAX_REASON_CHARACTERS, MAX_WORD_CHARACTERS = 500, 100


class SignedReport(msgspec.Struct, frozen=True):
    """What is sent.

    Args:
        envelope: DSSE, of a Report's canonical JSON, with one signature.
        public_key: that it is held against, 64 lower-case hexadecimal digits.
    """

    envelope: dsse.Envelope
    public_key: str


def seal_report(report: Report, key: PrivateKey) -> bytes:
    """The bytes that are sent.

    Args:
        report: of the device whose id is the key's.
        key: of the device.
    """
    payload = canonical.encode(report)
    envelope = dsse.decode(
        dsse.encode(REPORT_TYPE, payload, dsse.sign(REPORT_TYPE, payload, [key]), SignatureError), SignatureError
    )
    return canonical.encode(SignedReport(envelope, key.public.raw.hex()))


def open_report(data: bytes) -> Report:
    """The report in what was sent.

    1. At most MAX_REPORT_BYTES, canonical JSON of the closed schema.
    2. One signature, of the key that is sent along, over a payload of this type.
    3. A report of this format whose device is that key's id, with words and numbers within their limits.

    Raises:
        SignatureError: any of this does not hold.
        MissingExtraError: cryptography is not installed.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise SignatureError(f"a report of {len(data)} bytes, the limit is {MAX_REPORT_BYTES}")
    signed = canonical.decode(data, SignedReport, SignatureError)
    try:
        raw = bytes.fromhex(signed.public_key)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES or raw.hex() != signed.public_key:
        raise SignatureError("the key of a report is not 64 lower-case hexadecimal digits")
    key = PublicKey(raw)
    envelope = dsse.decode(canonical.encode(signed.envelope), SignatureError)
    if envelope.payload_type != REPORT_TYPE:
        raise SignatureError(f"a payload of type {envelope.payload_type!r} is no report")
    if len(envelope.signatures) != 1 or dsse.signers(envelope, [key]) != (key,):
        raise SignatureError(f"a report that is not signed by the key {key.key_id} alone, which it names")
    report = canonical.decode(dsse.payload_of(envelope), Report, SignatureError)
    _check(report, key.key_id)
    return report


def _check(report: Report, device: str) -> None:
    if report.format != REPORT_FORMAT:
        raise SignatureError(f"a report of format {report.format}; this version knows {REPORT_FORMAT}")
    if report.device != device:
        raise SignatureError(f"a report of the device {report.device}, signed by {device}")
    if report.state not in STATES:
        raise SignatureError(f"the state {report.state!r} is none of {', '.join(STATES)}")
    if report.sequence < 1 or min(report.counter, report.answers, report.errors) < 0:
        raise SignatureError("a number in the report is negative, or its sequence is not at least 1")
    words = (report.group, report.version, report.chip, report.bundle_sha256, report.running_sha256)
    if len(report.reason) > MAX_REASON_CHARACTERS or max(map(len, words)) > MAX_WORD_CHARACTERS:
        raise SignatureError(
            f"words of a report beyond {MAX_REASON_CHARACTERS} characters of reason or {MAX_WORD_CHARACTERS} of others"
        )


__all__ = ["MAX_REASON_CHARACTERS", "MAX_REPORT_BYTES", "REPORT_TYPE", "SignedReport", "open_report", "seal_report"]
