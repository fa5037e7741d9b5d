"""Key files: written for one pair of eyes, read by openssl too, and each odd one named."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from shoestring.base.errors import SignatureError, StorageError
from shoestring.trust import key_files
from shoestring.trust.key_files import (
    load_private_key,
    load_public_key,
    parse_public,
    public_pem,
    read_secret,
    save_key_pair,
)
from shoestring.trust.keys import PublicKey
from shoestring.trust.sealing import seal
from signers import ADA, EVE

WORDS = "correct horse"


def word() -> str:
    return WORDS


@pytest.fixture
def key(tmp_path: Path) -> Path:
    save_key_pair(tmp_path / "ada.key", ADA, WORDS)
    return tmp_path / "ada.key"


def test_a_pair_is_written_and_read_back(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    loaded = load_private_key(key, word)
    assert loaded.public == ADA.public and loaded.sign(b"x") == ADA.sign(b"x")
    assert load_public_key(key.with_name("ada.key.pub")) == ADA.public
    assert sorted(path.name for path in key.parent.iterdir()) == ["ada.key", "ada.key.pub"]


def test_a_private_key_is_its_owners_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    write = os.fsync

    def seen(descriptor: int) -> None:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            modes.append(stat.S_IMODE(found.st_mode))
        write(descriptor)

    monkeypatch.setattr(os, "fsync", seen)
    before = os.umask(0)
    try:
        save_key_pair(tmp_path / "a", ADA, None)
    finally:
        os.umask(before)
    assert modes[0] == 0o600
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.parametrize("taken", ("ada.key", "ada.key.pub"))
def test_no_file_is_ever_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(SignatureError, match="never overwritten"):
        save_key_pair(tmp_path / "ada.key", ADA, WORDS)
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_not_even_one_that_appears_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(pkcs8: bytes, passphrase: bytes) -> bytes:
        (tmp_path / "key").write_text("mine")
        return seal(pkcs8, passphrase)

    monkeypatch.setattr(key_files, "seal", slow)
    with pytest.raises(SignatureError, match="never overwritten"):
        save_key_pair(tmp_path / "key", ADA, WORDS)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").read_text() == "mine"


def test_a_link_to_nowhere_counts_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SignatureError, match="never overwritten"):
        save_key_pair(tmp_path / "key", ADA, None)
    assert not (tmp_path / "elsewhere").exists()


def _openssl(*words: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False)


def test_openssl_reads_what_we_wrote(key: Path) -> None:
    done = _openssl("pkey", "-in", key, "-passin", f"pass:{WORDS}", "-pubout")
    assert done.returncode == 0, done.stderr
    assert parse_public(done.stdout.decode(), "openssl") == PublicKey(ADA.public.raw)
    assert _openssl("pkey", "-in", key, "-passin", "pass:wrong horse").returncode != 0
    shown = _openssl("asn1parse", "-in", key).stdout.decode()
    assert all(word in shown for word in ("PBES2", "scrypt", "aes-256-cbc"))


@pytest.mark.parametrize("flags", ([], ["-scrypt"], ["-v2", "aes-256-cbc", "-iter", "100000"]))
def test_we_read_what_openssl_wrote(tmp_path: Path, flags: list[str]) -> None:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    assert _openssl("genpkey", "-algorithm", "ed25519", "-out", plain).returncode == 0
    plain.chmod(0o600)
    done = _openssl("pkcs8", "-topk8", "-in", plain, "-out", sealed, "-passout", f"pass:{WORDS}", *flags)
    assert done.returncode == 0, done.stderr
    sealed.chmod(0o600)
    assert load_private_key(sealed, word).public == load_private_key(plain).public


def test_each_odd_private_key_is_named(key: Path, tmp_path: Path) -> None:
    text = key.read_text()
    with pytest.raises(SignatureError, match="passphrase does not open"):
        load_private_key(key, lambda: "wrong horse")
    with pytest.raises(SignatureError, match="under a passphrase, and none was given"):
        load_private_key(key)
    with pytest.raises(SignatureError, match="public key, where a private one is needed"):
        load_private_key(key.with_name("ada.key.pub"), word)
    key.chmod(0o640)
    with pytest.raises(SignatureError, match=r"others than its owner can read .*mode 0640"):
        load_private_key(key, word)
    cases = {
        "truncated": text[:150],
        "no PEM": "hello",
        "2 PEM": text + text,
        "truncated or damaged: its ENCRYPTED": text.replace("MIG", "M*G"),
    }
    for reason, odd in cases.items():
        path = tmp_path / "odd"
        path.write_text(odd)
        path.chmod(0o600)
        with pytest.raises(SignatureError, match=reason):
            load_private_key(path, word)


@pytest.mark.parametrize(
    ("flags", "name"),
    (
        (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "RSA"),
        (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ECDSA"),
        (["-algorithm", "ed448"], "Ed448"),
        (["-algorithm", "x25519"], "X25519"),
    ),
)
def test_keys_of_other_algorithms_are_named(tmp_path: Path, flags: list[str], name: str) -> None:
    private, public = tmp_path / "k", tmp_path / "k.p"
    assert _openssl("genpkey", *flags, "-out", private).returncode == 0
    assert _openssl("pkey", "-in", private, "-pubout", "-out", public).returncode == 0
    private.chmod(0o600)
    for load, path in ((load_private_key, private), (load_public_key, public)):
        with pytest.raises(SignatureError, match=f"a key of {name}; only Ed25519"):
            load(path)


def test_a_plain_key_that_is_damaged_is_not_called_a_wrong_passphrase(tmp_path: Path) -> None:
    save_key_pair(tmp_path / "k", ADA, None)
    lines = (tmp_path / "k").read_text().splitlines()
    (tmp_path / "k").write_text("\n".join([lines[0], lines[1][:40], lines[2], ""]))
    with pytest.raises(SignatureError, match="is damaged"):
        load_private_key(tmp_path / "k")


def test_odd_public_keys_are_named(key: Path, tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="private key, where a public one is needed"):
        load_public_key(key)
    with pytest.raises(StorageError, match="cannot read"):
        load_public_key(tmp_path / "none")
    (tmp_path / "big").write_bytes(b"x" * 20_000)
    with pytest.raises(SignatureError, match="longer than 16384"):
        load_public_key(tmp_path / "big")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SignatureError, match="not text"):
        load_public_key(tmp_path / "binary")


def test_names_come_from_the_comment_and_can_be_replaced() -> None:
    text = public_pem(ADA.public)
    assert text.startswith("# Ada\n")
    assert parse_public(text, "x").name == "Ada"
    assert parse_public(text, "x", "Countess").name == "Countess"
    assert parse_public(public_pem(PublicKey(ADA.public.raw)), "x").name == ""


def test_a_name_is_taken_from_the_file_beside_only_if_it_is_of_the_same_key(key: Path) -> None:
    assert load_private_key(key, word).public.name == "Ada"
    key.with_name("ada.key.pub").write_text(public_pem(EVE.public))
    assert load_private_key(key, word).public == PublicKey(ADA.public.raw)
    key.with_name("ada.key.pub").unlink()
    assert load_private_key(key, word).public.name == ""


def test_short_passphrases_and_open_passphrase_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="has 7 characters, the least is 8"):
        save_key_pair(tmp_path / "k", ADA, "1234567")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "word").write_text(WORDS)
    (tmp_path / "word").chmod(0o644)
    with pytest.raises(SignatureError, match="others than its owner"):
        read_secret(tmp_path / "word")


def test_two_files_of_one_key_do_not_look_alike(tmp_path: Path) -> None:
    """The salt is drawn anew: equal passphrases cannot be told from the files."""
    for name in ("a", "b"):
        save_key_pair(tmp_path / name, ADA, WORDS)
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()
