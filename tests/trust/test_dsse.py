"""Envelopes: the standard's own vector, openssl in both directions, and one form alone."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from shoestring.base.errors import SignatureError
from shoestring.base.limits import MAX_ENVELOPE_BYTES, MAX_SIGNATURES
from shoestring.domain.signature import Signature
from shoestring.trust import dsse
from shoestring.trust.key_files import public_pem, save_key_pair
from signers import ADA, BOB, EVE, signer

TYPE, PAYLOAD = "http://example.com/HelloWorld", b"hello world"
# protocol.md of DSSE 1.0.0, "Test Vectors": an ECDSA key on P-256, and its signature r, s over the PAE with SHA-256.
SPEC_X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
SPEC_Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
SPEC_SIG = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="


def test_the_standards_own_vector() -> None:
    message = dsse.pae(TYPE, PAYLOAD)
    assert message == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    raw = base64.b64decode(SPEC_SIG)
    signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicNumbers(SPEC_X, SPEC_Y, ec.SECP256R1()).public_key()
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def test_lengths_are_of_bytes_and_every_part_is_bound() -> None:
    assert dsse.pae("é", "日".encode()) == b"DSSEv1 2 \xc3\xa9 3 \xe6\x97\xa5"
    assert dsse.pae("", b"") == b"DSSEv1 0  0 "
    assert len({dsse.pae("a", b"bc"), dsse.pae("ab", b"c"), dsse.pae("a ", b"bc"), dsse.pae("a", b" bc")}) == 4


def envelope(*people: Any, kind: str = TYPE, payload: bytes = PAYLOAD) -> bytes:
    return dsse.encode(kind, payload, dsse.merge((), dsse.sign(kind, payload, people)), SignatureError)


def test_an_envelope_is_read_back_and_says_who_signed() -> None:
    data = envelope(ADA, BOB)
    read = dsse.decode(data, SignatureError)
    assert (read.payload_type, dsse.payload_of(read)) == (TYPE, PAYLOAD)
    assert set(json.loads(data)) == {"payload", "payloadType", "signatures"}
    assert set(dsse.signers(read, [ADA.public, BOB.public, EVE.public])) == {ADA.public, BOB.public}
    assert dsse.signers(read, [EVE.public]) == ()


def test_openssl_verifies_our_signature(tmp_path: Path) -> None:
    (one,) = json.loads(envelope(ADA))["signatures"]
    (tmp_path / "sig").write_bytes(base64.b64decode(one["sig"]))
    (tmp_path / "message").write_bytes(dsse.pae(TYPE, PAYLOAD))
    (tmp_path / "pub").write_text(public_pem(ADA.public))
    words = ["-verify", "-pubin", "-inkey", "pub", "-rawin", "-in", "message", "-sigfile", "sig"]
    done = subprocess.run(["openssl", "pkeyutl", *words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0 and b"Success" in done.stdout
    (tmp_path / "message").write_bytes(dsse.pae(TYPE, PAYLOAD + b"!"))
    done = subprocess.run(["openssl", "pkeyutl", *words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0


def test_we_verify_openssls_signature(tmp_path: Path) -> None:
    save_key_pair(tmp_path / "key", ADA, None)
    (tmp_path / "message").write_bytes(dsse.pae(TYPE, PAYLOAD))
    words = ["-sign", "-inkey", "key", "-rawin", "-in", "message", "-out", "sig"]
    subprocess.run(["openssl", "pkeyutl", *words], cwd=tmp_path, capture_output=True, check=True)
    sig = base64.b64encode((tmp_path / "sig").read_bytes()).decode()
    data = dsse.encode(TYPE, PAYLOAD, [Signature(ADA.public.key_id, sig)], SignatureError)
    assert data == envelope(ADA)
    assert dsse.signers(dsse.decode(data, SignatureError), [ADA.public]) == (ADA.public,)


def test_signing_again_changes_nothing_and_order_does_not_matter() -> None:
    assert envelope(ADA, BOB) == envelope(BOB, ADA) == envelope(BOB, ADA, ADA)
    first, second = dsse.sign(TYPE, PAYLOAD, [ADA]), dsse.sign(TYPE, b"other", [ADA])
    assert dsse.merge(first, second) == second


def test_a_wrong_signature_of_a_trusted_key_refuses_the_whole() -> None:
    forged = Signature(ADA.public.key_id, dsse.sign(TYPE, PAYLOAD, [EVE])[0].sig)
    data = dsse.encode(TYPE, PAYLOAD, dsse.merge(dsse.sign(TYPE, PAYLOAD, [BOB]), [forged]), SignatureError)
    read = dsse.decode(data, SignatureError)
    with pytest.raises(SignatureError, match=r"signature of Ada .* does not hold"):
        dsse.signers(read, [ADA.public, BOB.public])
    assert dsse.signers(read, [BOB.public]) == (BOB.public,)


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(envelope(ADA, BOB)), **changes}, sort_keys=True, separators=(",", ":")).encode()


def _signature(**changes: Any) -> bytes:
    one = json.loads(envelope(ADA))["signatures"][0]
    return _changed(signatures=[{**one, **changes}])


GOOD = envelope(ADA, BOB)
GOOD_SIG = json.loads(envelope(ADA))["signatures"][0]["sig"]
ODD_FORMS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "blank": GOOD + b"\n",
    "spaces": json.dumps(json.loads(GOOD), sort_keys=True).encode(),
    "key order": json.dumps(dict(reversed(json.loads(GOOD).items())), separators=(",", ":")).encode(),
    "unknown key": _changed(extra=1),
    "certificate": _signature(cert="x"),
    "duplicate key": b'{"payload":"",' + GOOD[1:],
    "escaped": GOOD.replace(b'"payload"', b'"p\\u0061yload"'),
    "missing payload": GOOD.replace(b'"payload":"aGVsbG8gd29ybGQ=",', b""),
    "payload without padding": _changed(payload="aGVsbG8gd29ybGQ"),
    "payload with other last bits": _changed(payload="aGVsbG8gd29ybGR="),
    "payload URL-safe": _changed(payload="_-8="),
    "payload with a line break": _changed(payload="aGVs\nbG8gd29ybGQ="),
    "payload of another type": _changed(payload=1),
    "payload not ASCII": _changed(payload="é"),
    "no signatures": _changed(signatures=[]),
    "null signatures": _changed(signatures=None),
    "one key twice": _changed(signatures=json.loads(envelope(ADA))["signatures"] * 2),
    "not sorted": _changed(signatures=json.loads(GOOD)["signatures"][::-1]),
    "id in upper case": _signature(keyid=ADA.public.key_id.upper()),
    "id too short": _signature(keyid=ADA.public.key_id[:-1]),
    "id with a line end": _signature(keyid=ADA.public.key_id + "\n"),
    "id empty": _signature(keyid=""),
    "signature too short": _signature(sig=base64.b64encode(bytes(63)).decode()),
    "signature too long": _signature(sig=base64.b64encode(bytes(65)).decode()),
    "signature URL-safe": _signature(sig=base64.urlsafe_b64encode(b"\xff" * 64).decode()),
    "signature without padding": _signature(sig=GOOD_SIG.rstrip("=")),
    "signature with other last bits": _signature(sig=GOOD_SIG[:-3] + chr(ord(GOOD_SIG[-3]) + 1) + "=="),
    "too long": _changed(payload="AAAA" * (MAX_ENVELOPE_BYTES // 4)),
}


@pytest.mark.parametrize("name", ODD_FORMS)
def test_every_other_form_is_refused(name: str) -> None:
    with pytest.raises(SignatureError):
        dsse.decode(ODD_FORMS[name], SignatureError)


def test_the_number_of_signatures_is_limited() -> None:
    people = [signer(str(number)) for number in range(MAX_SIGNATURES + 1)]
    assert len(json.loads(envelope(*people[:-1]))["signatures"]) == MAX_SIGNATURES
    with pytest.raises(SignatureError, match=f"{MAX_SIGNATURES + 1} signatures, outside 1 to {MAX_SIGNATURES}"):
        envelope(*people)
    with pytest.raises(SignatureError, match="limit is"):
        envelope(ADA, payload=bytes(MAX_ENVELOPE_BYTES))
