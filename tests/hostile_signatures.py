"""Signed bundles that are not what they claim: a list of attacks, each with who is trusted."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from factory import make_bundle_parts
from hostile_bundles import FIRST, HASHES, MANIFEST, PIECES, TEXT, archive
from shoestring.base import canonical
from shoestring.bundle.envelope import statement_of
from shoestring.bundle.layout import MANIFEST_NAME, SIGNATURES_NAME, blob_name
from shoestring.bundle.packing import with_forms
from shoestring.domain.manifest import Manifest
from shoestring.domain.signature import Signature
from shoestring.trust import dsse
from shoestring.trust.keys import PrivateKey
from shoestring.trust.policy import Policy
from shoestring.trust.statement import PAYLOAD_TYPE
from signers import ADA, BOB, EVE, signatures_entry, signer, trusting

ORDER = 2**252 + 27742317777372353535851937790883648493
BLOBS = [(blob_name(name), PIECES[name]) for name in HASHES]


def signed(*people: PrivateKey, manifest: Manifest = MANIFEST, text: bytes = TEXT) -> bytes:
    """A bundle that these people signed properly."""
    return archive([(MANIFEST_NAME, text), *BLOBS, signatures_entry(manifest, text, people)])


GOOD_SIGNED = signed(ADA)
STATEMENT = statement_of(MANIFEST, TEXT)
_OTHER_PARTS = make_bundle_parts(1)
OTHER_MANIFEST = with_forms(_OTHER_PARTS.manifest, _OTHER_PARTS.blobs)[0]
OTHER_TEXT = canonical.encode(OTHER_MANIFEST)
ALICE_TRUSTED = trusting(ADA)
TWO_TRUSTED = trusting(ADA, BOB, threshold=2)


def with_envelope(data: bytes, text: bytes = TEXT) -> bytes:
    """The bundle with this entry at its end."""
    return archive([(MANIFEST_NAME, text), *BLOBS, (SIGNATURES_NAME, data)])


def envelope(
    signatures: Sequence[Signature], payload: bytes = STATEMENT, kind: str = PAYLOAD_TYPE, **more: Any
) -> bytes:
    """An envelope in canonical JSON that nobody checked."""
    listed = [{"keyid": one.keyid, "sig": one.sig} for one in signatures]
    plain = {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": listed, **more}
    return canonical.encode(plain)


def by(person: PrivateKey, message: bytes) -> Signature:
    """This person's signature over the very bytes."""
    return Signature(person.public.key_id, base64.b64encode(person.sign(message)).decode())


def proper(person: PrivateKey, payload: bytes = STATEMENT, kind: str = PAYLOAD_TYPE) -> Signature:
    """This person's signature as the standard has it."""
    return by(person, dsse.pae(kind, payload))


def _twin(one: Signature) -> Signature:
    """The same signature with its scalar not reduced."""
    raw = base64.b64decode(one.sig)
    scalar = int.from_bytes(raw[32:], "little") + ORDER
    return replace(one, sig=base64.b64encode(raw[:32] + scalar.to_bytes(32, "little")).decode())


def _said(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A bundle with a changed statement that the victim signed properly: as another tool might have asked for."""
    plain = json.loads(STATEMENT)
    change(plain)
    payload = canonical.encode(plain)
    return with_envelope(envelope([proper(ADA, payload)], payload))


def _raised_budget() -> bytes:
    """The manifest changed, the victim's signature kept, the statement mended to fit."""
    manifest = replace(MANIFEST, name="better")
    text = canonical.encode(manifest)
    return with_envelope(envelope([proper(ADA)], statement_of(manifest, text)), text)


@dataclass(frozen=True)
class Attack:
    """A file that must be refused.

    Args:
        data: makes the file.
        policy: who is trusted.
    """

    data: Callable[[], bytes]
    policy: Policy = ALICE_TRUSTED


ONE = [proper(ADA)]

SIGNED_ATTACKS: dict[str, Attack] = {
    "unsigned": Attack(lambda: archive([(MANIFEST_NAME, TEXT), *BLOBS])),
    "signed by the attacker": Attack(lambda: signed(EVE)),
    "signed by many strangers": Attack(lambda: signed(*(signer(str(i)) for i in range(16)))),
    "attacker's signature under the victim's id": Attack(
        lambda: with_envelope(envelope([replace(proper(EVE), keyid=ADA.public.key_id)]))
    ),
    "victim's signature under the attacker's id": Attack(
        lambda: with_envelope(envelope([replace(proper(ADA), keyid=EVE.public.key_id)]))
    ),
    "envelope of another bundle": Attack(lambda: with_envelope(signatures_entry(OTHER_MANIFEST, OTHER_TEXT, [ADA])[1])),
    "signature of another bundle": Attack(
        lambda: with_envelope(envelope([proper(ADA, statement_of(OTHER_MANIFEST, OTHER_TEXT))]))
    ),
    "manifest changed, statement mended": Attack(_raised_budget),
    "manifest changed, envelope kept": Attack(
        lambda: with_envelope(envelope(ONE), canonical.encode(replace(MANIFEST, name="better")))
    ),
    "blob changed": Attack(lambda: GOOD_SIGNED.replace(PIECES[FIRST][:40], PIECES[FIRST][:39] + b"!")),
    "text that was signed as text": Attack(lambda: with_envelope(envelope([proper(ADA, STATEMENT, "text/plain")]))),
    "text under its own type": Attack(
        lambda: with_envelope(envelope([proper(ADA, STATEMENT, "text/plain")], kind="text/plain"))
    ),
    "signed without the standard's framing": Attack(lambda: with_envelope(envelope([by(ADA, STATEMENT)]))),
    "signed hash of the statement": Attack(
        lambda: with_envelope(envelope([by(ADA, hashlib.sha256(STATEMENT).digest())]))
    ),
    "scalar not reduced": Attack(lambda: with_envelope(envelope([_twin(proper(ADA))]))),
    "zero signature": Attack(
        lambda: with_envelope(envelope([replace(proper(ADA), sig=base64.b64encode(bytes(64)).decode())]))
    ),
    "one of two": Attack(lambda: signed(ADA), TWO_TRUSTED),
    "one of two and the attacker": Attack(lambda: signed(ADA, EVE), TWO_TRUSTED),
    "one of two, twice": Attack(lambda: with_envelope(envelope([*ONE, *ONE])), TWO_TRUSTED),
    "one of two, twice in two forms": Attack(
        lambda: with_envelope(envelope([*ONE, replace(ONE[0], keyid=ADA.public.key_id.upper())])), TWO_TRUSTED
    ),
    "other's signature copied": Attack(
        lambda: with_envelope(envelope(dsse.merge(ONE, [replace(ONE[0], keyid=BOB.public.key_id)]))), TWO_TRUSTED
    ),
    "other subject": Attack(lambda: _said(lambda s: s["subject"][0].update(name="readme.txt"))),
    "other digest": Attack(lambda: _said(lambda s: s["subject"][0]["digest"].update(sha256="0" * 64))),
    "weaker digest": Attack(lambda: _said(lambda s: s["subject"][0].update(digest={"sha1": "0" * 40}))),
    "two subjects": Attack(lambda: _said(lambda s: s["subject"].append({"name": "x", "digest": {"sha256": "0" * 64}}))),
    "no subject": Attack(lambda: _said(lambda s: s.update(subject=[]))),
    "other predicate": Attack(lambda: _said(lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"))),
    "other statement": Attack(lambda: _said(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"))),
    "other budget": Attack(lambda: _said(lambda s: s["predicate"]["budget"].update(max_drop=0.5))),
    "more in the predicate": Attack(lambda: _said(lambda s: s["predicate"].update(allow="all"))),
    "statement with blanks": Attack(lambda: with_envelope(envelope([proper(ADA, STATEMENT + b" ")], STATEMENT + b" "))),
    "statement is empty": Attack(lambda: with_envelope(envelope([proper(ADA, b"")], b""))),
    "no signatures": Attack(lambda: with_envelope(envelope([]))),
    "seventeen signatures": Attack(
        lambda: with_envelope(envelope(dsse.merge(ONE, [proper(signer(str(i))) for i in range(16)])))
    ),
    "not sorted": Attack(lambda: with_envelope(envelope(dsse.merge([proper(ADA)], [proper(BOB)])[::-1]))),
    "unknown key": Attack(lambda: with_envelope(envelope(ONE, trusted=True))),
    "envelope with a line end": Attack(lambda: with_envelope(envelope(ONE) + b"\n")),
    "empty envelope": Attack(lambda: with_envelope(b"")),
    "envelope too long": Attack(lambda: with_envelope(envelope(ONE, b"x" * 60_000))),
    "envelope is a list": Attack(lambda: with_envelope(b"[]")),
    "envelope is deep": Attack(lambda: with_envelope(b"[" * 60_000)),
    "envelope is no UTF-8": Attack(lambda: with_envelope(b"\xff" * 100)),
    "two envelopes": Attack(lambda: archive([(MANIFEST_NAME, TEXT), *BLOBS, *[(SIGNATURES_NAME, envelope(ONE))] * 2])),
    "envelope before the blobs": Attack(
        lambda: archive([(MANIFEST_NAME, TEXT), (SIGNATURES_NAME, envelope(ONE)), *BLOBS])
    ),
    "envelope under another name": Attack(
        lambda: archive([(MANIFEST_NAME, TEXT), *BLOBS, ("signatures.jsom", envelope(ONE))])
    ),
    "envelope in a folder": Attack(
        lambda: archive([(MANIFEST_NAME, TEXT), *BLOBS, (f"blobs/{SIGNATURES_NAME}", envelope(ONE))])
    ),
    "something after the envelope": Attack(lambda: GOOD_SIGNED + b"\0"),
    "a file after the envelope": Attack(
        lambda: archive([(MANIFEST_NAME, TEXT), *BLOBS, (SIGNATURES_NAME, envelope(ONE)), ("run.sh", b"x")])
    ),
    "envelope cut": Attack(lambda: with_envelope(envelope(ONE)[:-1])),
}
