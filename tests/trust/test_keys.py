"""Keys of Ed25519: published vectors, one form of a signature, no weak keys, nothing secret shown."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shoestring.base.errors import MissingExtraError, SignatureError
from shoestring.trust import keys
from shoestring.trust.keys import PublicKey, generate, private_key
from signers import ADA, BOB

# RFC 8032, section 7.1: secret key, public key, message, signature.
RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
        "5141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
        "0d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
        "27beceea1ec40a",
    ),
)
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_published_vectors(secret: str, public: str, message: str, signature: str) -> None:
    key = private_key(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))
    assert key.public.raw.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert key.public.holds(bytes.fromhex(signature), bytes.fromhex(message))
    assert not key.public.holds(bytes.fromhex(signature), bytes.fromhex(message) + b"x")


def test_a_signature_has_one_form() -> None:
    """S + L is the same scalar: an equation that does not ask for S < L holds for both (RFC 8032, section 5.1.7)."""
    signature = ADA.sign(b"words")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert scalar < 2**256
    twin = signature[:32] + scalar.to_bytes(32, "little")
    assert ADA.public.holds(signature, b"words")
    assert not ADA.public.holds(twin, b"words")
    for odd in (b"", signature[:-1], signature + b"\0", bytes(64), b"\xff" * 64):
        assert not ADA.public.holds(odd, b"words")


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Sum of two points of the curve (RFC 8032, section 5.1)."""
    d = -121665 * pow(121666, -1, P) % P
    (x1, y1), (x2, y2) = one, other
    product = d * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def _points(y: int) -> list[tuple[int, int]]:
    d = -121665 * pow(121666, -1, P) % P
    square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    assert root * root % P == square
    return sorted({(root, y), (-root % P, y)})


def test_the_list_of_weak_keys_is_all_of_them() -> None:
    points = {point for y in keys._SMALL for point in _points(y)}
    assert len(points) == 8  # as many as have an order that divides 8
    for point in points:
        eighth = point
        for _ in range(3):
            eighth = _add(eighth, eighth)
        assert eighth == (0, 1)


@pytest.mark.parametrize("sign_bit", (0, 1))
@pytest.mark.parametrize("second", sorted(keys._SMALL | {P, P + 1}))
def test_weak_and_oddly_written_keys_are_refused(second: int, sign_bit: int) -> None:
    with pytest.raises(SignatureError, match="weak public key"):
        PublicKey((second | sign_bit << 255).to_bytes(32, "little"))


def test_why_weak_keys_are_refused() -> None:
    """The library alone takes one signature for every message."""
    identity = (1).to_bytes(32, "little")
    for message in (b"one bundle", b"another"):
        Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), message)


def test_a_key_id_is_the_hash_of_what_openssl_writes(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(ADA.public.der)
    command = ["openssl", "pkey", "-pubin", "-inform", "DER", "-in", tmp_path / "raw", "-outform", "DER"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert ADA.public.key_id == hashlib.sha256(done.stdout).hexdigest()


def test_nothing_secret_is_shown() -> None:
    secret = ADA.inner.private_bytes_raw().hex()
    assert secret not in repr(ADA) and "Ada" in repr(ADA)
    assert ADA.public.title == f"Ada ({ADA.public.key_id[:16]})"
    assert ADA.public != BOB.public


def test_new_keys_differ_and_names_are_one_line() -> None:
    assert generate("a").public.raw != generate("a").public.raw
    for odd in ("x" * 101, "two\nlines", "\x1b[2J", " padded "):
        with pytest.raises(SignatureError, match="key's name"):
            generate(odd)
    with pytest.raises(SignatureError, match="31 bytes"):
        PublicKey(bytes(31))


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    signature = ADA.sign(b"x")
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"cryptography") as caught:
        ADA.public.holds(signature, b"x")
    assert caught.value.extra == "trust"
    with pytest.raises(MissingExtraError):
        generate()


def test_a_point_off_the_curve_signs_nothing() -> None:
    off = next(y for y in range(2, 50) if not _on_curve(y))
    assert not PublicKey(off.to_bytes(32, "little")).holds(bytes(64), b"x")


def _on_curve(y: int) -> bool:
    try:
        _points(y)
    except AssertionError:
        return False
    return True
