"""A report on its way: signed by its device, with the device's public key beside it.

A device's id is the hash of its public key, so whoever holds the report needs nothing else to see that it is the
device's own word. That it is one of ours is another question: a collector asks its list of devices.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.base.errors import DataError, SignatureError
from shoestring.domain.report import FAILURES, REPORT_FORMAT, STATES, Report
from shoestring.trust import dsse
from shoestring.trust.dsse import Envelope
from shoestring.trust.keys import KEY_BYTES, PublicKey

if TYPE_CHECKING:
    from shoestring.trust.keys import PrivateKey

PAYLOAD_TYPE = "application/vnd.shoestring.report+json"
MAX_SEALED_BYTES = 8 * 1024  # a report takes some 700 bytes and its reason 500; base64 and the signature double it
MAX_REASON = 500
MAX_WORD = 100  # of a group, a version, a chip
_HASH = re.compile(r"[0-9a-f]{64}")
_PUBLIC = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True)
class SealedReport:
    """What is sent.

    Args:
        envelope: around the report, signed by the device alone.
        public_key: of the device, hexadecimal.
    """

    envelope: Envelope
    public_key: str


def seal_report(report: Report, key: PrivateKey) -> bytes:
    """Sign a report. Raises DataError for one that `open_report` would refuse."""
    _check(report, key.public.key_id)
    payload = canonical.encode(report)
    signatures = dsse.sign(PAYLOAD_TYPE, payload, (key,))
    envelope = Envelope(base64.b64encode(payload).decode(), signatures, PAYLOAD_TYPE)
    return canonical.encode(SealedReport(envelope, key.public.raw.hex()))


def open_report(data: bytes) -> Report:
    """Verify a report and read it.

    Args:
        data: of anybody.

    Raises:
        DataError: it is not in the one form that `seal_report` gives, or says what makes no sense.
        SignatureError: it is not signed by the device that it names.
    """
    if len(data) > MAX_SEALED_BYTES:
        raise DataError(f"a report of {len(data)} bytes, the limit is {MAX_SEALED_BYTES}")
    sealed = canonical.decode(data, SealedReport, _wrong)
    envelope = dsse.decode(canonical.encode(sealed.envelope), _wrong)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _wrong(f"an envelope of the type {envelope.payload_type[:80]!r}, not {PAYLOAD_TYPE}")
    if _PUBLIC.fullmatch(sealed.public_key) is None:
        raise _wrong("a public key that is not 32 bytes in hexadecimal digits")
    key = PublicKey(bytes.fromhex(sealed.public_key))
    if len(envelope.signatures) != 1 or not dsse.signers(envelope, (key,)):
        raise SignatureError("a report that is not signed by the key it brings, and by that alone")
    report = canonical.decode(dsse.payload_of(envelope), Report, _wrong)
    _check(report, key.key_id)
    return report


def _check(report: Report, device: str) -> None:
    """What the types do not say."""
    if report.device != device:
        raise SignatureError(f"a report of the device {report.device[:64]!r} that {device} signed")
    words = (report.group, report.version, report.chip)
    counts = (report.counter, report.answers, report.errors)
    if report.format != REPORT_FORMAT or report.state not in STATES:
        raise _wrong(f"format {report.format} or state {report.state[:40]!r} is unknown")
    if report.sequence < 1 or any(count < 0 for count in counts):
        raise _wrong("a count is below zero, or the sequence below one")
    if any(len(word) > MAX_WORD or not word.isprintable() for word in words) or len(report.reason) > MAX_REASON:
        raise _wrong(f"a word has more than {MAX_WORD} printable characters, or the reason more than {MAX_REASON}")
    if any(_HASH.fullmatch(one) is None for one in (report.bundle_sha256, report.running_sha256) if one):
        raise _wrong("the hash of a bundle is not 64 hexadecimal digits")
    if report.state in FAILURES and not report.bundle_sha256:
        raise _wrong("a failure that names no bundle")


def _wrong(reason: str) -> DataError:
    return DataError(f"not a report: {reason}")
