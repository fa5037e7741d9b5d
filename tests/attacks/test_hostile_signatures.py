"""Signed bundles under attack. What a policy accepts is byte for byte what its people signed."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostile_bundles import MANIFEST, PARTS, TEXT, archive, bundle_bytes, mutate, odd, odd_manifest
from hostile_signatures import (
    ALICE_TRUSTED,
    BLOBS,
    GOOD_SIGNED,
    SIGNED_ATTACKS,
    envelope,
    proper,
    signed,
    with_envelope,
)
from meters import Meter
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import BundleError, ShoestringError, SignatureError, TrustError
from shoestring.base.limits import MIB
from shoestring.bundle import envelope as envelope_module
from shoestring.bundle import open_bundle, pack, verifying
from shoestring.bundle.delta import make_delta
from shoestring.bundle.delta_file import DeltaReader, head_bytes
from shoestring.bundle.layout import MANIFEST_NAME, SIGNATURES_NAME
from shoestring.bundle.patching import apply_delta
from shoestring.bundle.refusal import refuse
from shoestring.bundle.signing import check_signatures, sign_bundle
from shoestring.domain.manifest import Manifest
from shoestring.trust import dsse, policy
from shoestring.trust.keys import PublicKey
from shoestring.trust.policy import Policy
from signers import ADA, BOB, EVE, signatures_entry, trusting

COUNT = 250 * SCALE
"""`SHOESTRING_PROOF=400` gives 100,000 files of each kind."""


def accept(path: Path, trusted: Policy) -> None:
    with open_bundle(path) as bundle:
        check_signatures(bundle, trusted)


def test_the_good_bundle_is_what_signing_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.shoe"
    pack(path, PARTS.manifest, PARTS.blobs)
    sign_bundle(path, [ADA])
    assert path.read_bytes() == GOOD_SIGNED
    accept(path, ALICE_TRUSTED)


@pytest.mark.parametrize("name", SIGNED_ATTACKS)
def test_each_attack_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path, attack = tmp_path / "a.shoe", SIGNED_ATTACKS[name]
    data = attack.data()
    assert data != GOOD_SIGNED or attack.policy is not ALICE_TRUSTED
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises((BundleError, SignatureError)) as caught:
            accept(path, attack.policy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.exit_code == 4 and caught.value.hint
    assert caught.value.message.isprintable() and len(caught.value.message) < 2_000
    assert peak < 64 * MIB


def through(folder: Path) -> set[str]:
    """Attacks that get through with the verifier as it is now."""
    found, path = set(), folder / "a.shoe"
    for name, attack in SIGNED_ATTACKS.items():
        path.write_bytes(attack.data())
        try:
            accept(path, attack.policy)
        except ShoestringError:
            continue
        found.add(name)
    return found


@contextmanager
def sabotaged(*changes: tuple[object, str, object]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for where, name, value in changes:
            patch.setattr(where, name, value)
        yield


def _forgets_the_subject(data: bytes, manifest: Manifest, text: bytes) -> dsse.Envelope:
    return dsse.decode(data, refuse)


def _counts_signatures(self: Policy, found: dsse.Envelope | None) -> tuple[str, ...]:
    signers = () if found is None else dsse.signers(found, self.keys)
    if len(signers) < self.threshold:
        raise SignatureError("too few")
    return tuple(key.key_id for key in signers)


def _anybody(found: dsse.Envelope, keys: tuple[PublicKey, ...]) -> tuple[PublicKey, ...]:
    """Believes the key ids."""
    return tuple(key for key in keys if key.key_id in {one.keyid for one in found.signatures})


SABOTEURS = {
    "no type in the framing": (
        ((dsse, "pae", lambda kind, payload: b"DSSEv1 %d %b" % (len(payload), payload)),),
        {"text that was signed as text"},
    ),
    "no framing at all": (((dsse, "pae", lambda kind, payload: payload),), {"signed without the standard's framing"}),
    "no look at the subject": (
        ((verifying, "parse_envelope", _forgets_the_subject),),
        {"envelope of another bundle", "other subject", "other digest", "text under its own type", "no subject"},
    ),
    "no look at the payload's type": (((envelope_module, "PAYLOAD_TYPE", "text/plain"),), {"text under its own type"}),
    "signatures counted, not keys": (
        ((dsse, "check_signatures", lambda signatures, error: None), (Policy, "check", _counts_signatures)),
        {"one of two, twice"},
    ),
    "key ids believed": (
        ((policy, "signers", _anybody),),
        {"attacker's signature under the victim's id", "other's signature copied", "zero signature"},
    ),
}


@pytest.mark.parametrize("name", SABOTEURS)
def test_the_attacks_catch_a_verifier_with(tmp_path: Path, name: str) -> None:
    changes, expected = SABOTEURS[name]
    assert through(tmp_path) == set()
    with sabotaged(*changes):
        assert expected <= through(tmp_path)


def test_keys_are_counted_even_where_the_form_is_not_checked(tmp_path: Path) -> None:
    with sabotaged((dsse, "check_signatures", lambda signatures, error: None)):
        assert "one of two, twice" not in through(tmp_path)


def test_strangers_may_add_their_signatures_but_change_nothing(tmp_path: Path) -> None:
    """Not an attack: what the victim signed stays what is run."""
    path = tmp_path / "a.shoe"
    path.write_bytes(signed(ADA, EVE))
    with open_bundle(path) as bundle:
        assert check_signatures(bundle, ALICE_TRUSTED) == (ADA.public.key_id,)
        assert bundle.manifest == MANIFEST


def test_no_single_bit_of_the_end_can_change(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.shoe", random.Random(3)
    begin = GOOD_SIGNED.index(SIGNATURES_NAME.encode()) - 30
    for position in rng.sample(range(begin, len(GOOD_SIGNED)), 250):
        data = bytearray(GOOD_SIGNED)
        data[position] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises((BundleError, SignatureError)):
            accept(path, ALICE_TRUSTED)


def test_changed_bytes_of_a_signed_bundle_are_refused(tmp_path: Path) -> None:
    path, rng, meter = tmp_path / "a.shoe", random.Random(4), Meter("signed, bytes changed")
    backwards = GOOD_SIGNED[::-1]
    for turn in range(COUNT):
        # Every other one has its edits at the end, where the signatures are.
        data = mutate(rng, GOOD_SIGNED, len(TEXT)) if turn % 2 else mutate(rng, backwards, 4_000)[::-1]
        path.write_bytes(data)
        with meter:
            try:
                accept(path, ALICE_TRUSTED)
            except TrustError:
                continue
        assert data == GOOD_SIGNED
    meter.check()


def _odd_envelope(rng: random.Random, good: bytes) -> bytes:
    """The envelope with its bytes, its values, or only its signature or payload changed."""
    kind = rng.randrange(4)
    if kind == 0:
        return mutate(rng, good, len(good))
    if kind == 1:
        try:
            return odd(rng, good)
        except UnicodeEncodeError:
            return b""
    plain = json.loads(good)
    node, key = (plain["signatures"][0], "sig") if kind == 2 else (plain, "payload")
    raw = bytearray(base64.b64decode(node[key]))
    for _ in range(rng.randint(1, 3)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    node[key] = base64.b64encode(raw).decode()
    return canonical.encode(plain)


def test_changed_envelopes_are_refused(tmp_path: Path) -> None:
    """The archive around them is mended, so that each meets the parser and the signatures."""
    path, rng, meter = tmp_path / "a.shoe", random.Random(5), Meter("signed, envelope changed")
    good, opened = envelope([proper(ADA)]), 0
    for _ in range(COUNT):
        data = _odd_envelope(rng, good)
        path.write_bytes(with_envelope(data))
        with meter:
            try:
                bundle = open_bundle(path)
            except BundleError:
                continue
            opened += data != good
            with bundle:
                try:
                    check_signatures(bundle, ALICE_TRUSTED)
                except SignatureError:
                    continue
        assert data == good
    meter.check()
    print(f"{opened:,} of {COUNT:,} were envelopes in form, with signatures that do not hold")


def _twice(path: Path, again: Path, text: bytes, people: list[object]) -> None:
    """What was opened is what `pack` and `sign_bundle` write for it."""
    with open_bundle(path) as bundle:
        pack(again, bundle.manifest, PARTS.blobs)
    sign_bundle(again, people)  # type: ignore[arg-type]
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("whose", ("attacker", "victim"))
def test_a_changed_manifest_that_is_signed_again(tmp_path: Path, whose: str) -> None:
    """The attacker's is never accepted; the victim's is, where it is a sound bundle, and is then in its one form."""
    path, again, rng = tmp_path / "a.shoe", tmp_path / "b.shoe", random.Random(6)
    meter, sound = Meter(f"manifest changed, signed again by the {whose}"), 0
    person = EVE if whose == "attacker" else ADA
    for turn in range(COUNT):
        try:
            text = odd_manifest(rng)
        except UnicodeEncodeError:
            continue
        if text == TEXT:  # a value was replaced by its like
            continue
        path.write_bytes(_signed_again(text, person, keep=whose == "attacker" and turn % 2 == 0))
        with meter:
            try:
                accept(path, ALICE_TRUSTED)
            except TrustError:
                continue
        assert whose == "victim"
        sound += 1
        if turn % 10 == 0 or SCALE == 1:
            _twice(path, again, text, [person])
    meter.check()
    print(f"{sound:,} of {COUNT:,} were accepted: sound bundles of another content that the {whose} signed")
    assert sound == 0 if whose == "attacker" else sound > 0


def _signed_again(text: bytes, person: object, *, keep: bool) -> bytes:
    """The bundle with this manifest, and a proper signature over it. With `keep` also the victim's over the old one.

    The statement is made as the project makes it where the manifest can be read, and else by hand.
    """
    try:
        manifest = canonical.decode(text, Manifest, ValueError)
        payload = envelope_module.statement_of(manifest, text)
    except (ValueError, KeyError):
        plain = json.loads(envelope_module.statement_of(MANIFEST, TEXT))
        plain["subject"][0]["digest"]["sha256"] = canonical.sha256_hex(text)
        payload = canonical.encode(plain)
    kept = [proper(ADA)] if keep else []
    data = envelope(dsse.merge(kept, [proper(person, payload)]), payload)  # type: ignore[arg-type]
    return archive([(MANIFEST_NAME, text), *BLOBS, (SIGNATURES_NAME, data)])


def test_a_blob_changed_and_all_mended_needs_the_victims_key(tmp_path: Path) -> None:
    path = tmp_path / "a.shoe"
    for person, fails in ((EVE, True), (ADA, False)):
        path.write_bytes(archive([(MANIFEST_NAME, TEXT), *BLOBS, signatures_entry(MANIFEST, TEXT, [person])]))
        if fails:
            with pytest.raises(SignatureError, match="nobody who is trusted"):
                accept(path, ALICE_TRUSTED)
        else:
            accept(path, ALICE_TRUSTED)
    path.write_bytes(bundle_bytes())
    with pytest.raises(SignatureError, match="not signed"):
        accept(path, trusting(ADA, EVE))


def test_signatures_in_a_delta_are_held_to_the_same_form(tmp_path: Path) -> None:
    """A delta only says which signatures; whatever it says, the promised bundle appears, or nothing does."""
    old, new, made = tmp_path / "old.shoe", tmp_path / "new.shoe", tmp_path / "made.shoe"
    pack(old, PARTS.manifest, PARTS.blobs)
    sign_bundle(old, [ADA, BOB], new)
    make_delta(old, new, tmp_path / "good.delta")
    with (tmp_path / "good.delta").open("rb") as stream:
        reader = DeltaReader(stream)
        good, data = reader.delta, b"".join(reader.read(part, MIB) for part in reader.delta.parts)
    one, other = good.signatures or ()
    odd = {
        "signatures, outside 1 to 16": ((), (one,) * 17),
        "sorted by key id, or two of one key": ((other, one), (one, one)),
        "64 lower-case hexadecimal": ((dataclasses.replace(one, keyid="x"), other),),
        "64 bytes in standard base64": ((dataclasses.replace(one, sig=one.sig[:-4]), other),),
        "it gives the bundle": (None, (one,), (other,), (dataclasses.replace(one, sig=other.sig), other)),
    }
    for reason, cases in odd.items():
        for signatures in cases:
            changed = dataclasses.replace(good, signatures=signatures)
            (tmp_path / "odd.delta").write_bytes(head_bytes(changed) + data)
            with pytest.raises(BundleError, match=reason):
                apply_delta(old, tmp_path / "odd.delta", made)
            assert not made.exists()
    apply_delta(old, tmp_path / "good.delta", made)
    assert made.read_bytes() == new.read_bytes()


def test_the_meter_sees_what_is_freed_again() -> None:
    meter = Meter("a saboteur that takes 100 MiB")
    with meter:
        assert len(b"x" * (100 * MIB)) == 100 * MIB
    with pytest.raises(AssertionError):
        meter.check()
    again = Meter("nothing")
    with again:
        pass
    again.check()
