"""keygen, sign, verify, and --trusted of what runs a bundle."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from factory import make_bundle_parts
from null_bundles import make_null_bundle
from shoestring.bundle import open_bundle, pack
from shoestring.trust.key_files import load_public_key, public_pem

PARTS = make_bundle_parts()
WORDS = "correct horse"


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOESTRING_PASSPHRASE", WORDS)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    return tmp_path / "a.shoe"


@pytest.fixture
def key(cli, tmp_path: Path) -> Path:
    assert cli("keygen", "-o", tmp_path / "ada.key", "--name", "Ada").code == 0
    return tmp_path / "ada.key"


@pytest.fixture
def other(cli, tmp_path: Path) -> Path:
    assert cli("keygen", "-o", tmp_path / "eve.key", "--no-passphrase").code == 0
    return tmp_path / "eve.key"


def public(key: Path) -> Path:
    return key.with_name(key.name + ".pub")


def trusted(folder: Path, *keys: Path, threshold: int = 1) -> Path:
    tables = "".join(f'[[key]]\nfile = "{public(key).name}"\n' for key in keys)
    (folder / "trusted.toml").write_text(f"threshold = {threshold}\n{tables}")
    return folder / "trusted.toml"


def test_keygen_writes_a_pair_and_nothing_twice(cli, tmp_path: Path) -> None:
    said = cli("keygen", "-o", tmp_path / "k", "--name", "Ada", "--json")
    assert said.code == 0 and said.data["key_id"] == load_public_key(tmp_path / "k.pub").key_id
    assert "ENCRYPTED" in (tmp_path / "k").read_text() and "warning" not in said.err
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    before = (tmp_path / "k").read_bytes()
    said = cli("keygen", "-o", tmp_path / "k")
    assert said.code == 4 and "never overwritten" in said.err
    assert (tmp_path / "k").read_bytes() == before


def test_a_key_without_a_passphrase_is_said_aloud(cli, tmp_path: Path) -> None:
    said = cli("keygen", "-o", tmp_path / "k", "--no-passphrase")
    assert said.code == 0 and "warning" in said.err and "no passphrase" in said.err
    assert "BEGIN PRIVATE KEY" in (tmp_path / "k").read_text()
    assert cli("keygen", "-o", tmp_path / "l", "--no-passphrase", "--passphrase-file", tmp_path / "k").code == 2


def test_a_passphrase_comes_from_a_file_first(cli, tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "word").write_text("another horse\nignored\n")
    (tmp_path / "word").chmod(0o600)
    assert cli("keygen", "-o", tmp_path / "k", "--passphrase-file", tmp_path / "word").code == 0
    said = cli("sign", bundle, "--key", tmp_path / "k")
    assert said.code == 4 and "passphrase does not open" in said.err
    assert cli("sign", bundle, "--key", tmp_path / "k", "--passphrase-file", tmp_path / "word").code == 0
    (tmp_path / "word").chmod(0o644)
    said = cli("sign", bundle, "--key", tmp_path / "k", "--passphrase-file", tmp_path / "word")
    assert said.code == 4 and "others than its owner" in said.err


def test_without_a_terminal_nobody_is_asked(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOESTRING_PASSPHRASE")
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        said = cli("keygen", "-o", tmp_path / "k")
    assert said.code == 2 and "no terminal to ask at" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("second", "code"), ((WORDS, 0), ("correct house", 2)))
def test_at_a_terminal_a_new_passphrase_is_asked_for_twice(tmp_path: Path, second: str, code: int) -> None:
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "SHOESTRING_PASSPHRASE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "shoestring.cli.main", "keygen", "-o", str(tmp_path / "k")],
        stdin=follower, stdout=subprocess.DEVNULL, stderr=follower, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    for question, answer in ((b"passphrase for", WORDS), (b"the same again", second)):
        while question not in shown:
            shown += os.read(leader, 1024)
        os.write(leader, answer.encode() + b"\n")
    assert process.wait(30) == code
    os.close(leader)
    assert (tmp_path / "k").exists() == (code == 0)
    assert WORDS.encode() not in shown


def test_several_people_sign_one_after_another(cli, bundle: Path, key: Path, other: Path, tmp_path: Path) -> None:
    plain = bundle.read_bytes()
    one = cli("sign", bundle, "--key", key, "-o", tmp_path / "b.shoe", "--json").data
    assert len(one["signatures"]) == 1 and bundle.read_bytes() == plain
    assert len(cli("sign", tmp_path / "b.shoe", "--key", other, "--json").data["signatures"]) == 2
    assert cli("sign", bundle, "--key", other, "--key", key).code == 0
    assert bundle.read_bytes() == (tmp_path / "b.shoe").read_bytes()
    said = cli("sign", bundle, "--strip")
    assert said.code == 0 and "is not signed" in said.err and bundle.read_bytes() == plain
    assert cli("sign", bundle).code == 2
    assert cli("sign", bundle, "--strip", "--key", key).code == 2


def test_verify_says_what_it_could_not_check(cli, bundle: Path, key: Path) -> None:
    said = cli("verify", bundle)
    assert said.code == 0 and "warning: not signed" in said.err and "not who made it" in said.err
    cli("sign", bundle, "--key", key)
    said = cli("verify", bundle)
    assert said.code == 0 and "nobody was named as trusted" in said.err and "signed by" not in said.out
    assert load_public_key(public(key)).key_id[:16] in said.err
    assert cli("verify", bundle, "--json").data["trusted"] is None


def test_verify_holds_a_bundle_against_keys(cli, bundle: Path, key: Path, other: Path, tmp_path: Path) -> None:
    said = cli("verify", bundle, "--public-key", public(key))
    assert said.code == 4 and "not signed" in said.err
    cli("sign", bundle, "--key", key)
    said = cli("verify", bundle, "--public-key", public(key))
    assert said.code == 0 and "signed by Ada (" in said.out and "warning" not in said.err
    said = cli("verify", bundle, "--public-key", public(key), "--public-key", public(other))
    assert said.code == 4 and "2 of 2" in said.err and "missing: unnamed" in said.err
    said = cli("verify", bundle, "--public-key", public(key), "--public-key", public(other), "--threshold", "1")
    assert said.code == 0 and "1 of 2 were asked for" in said.out
    data = cli("verify", bundle, "--trusted", trusted(tmp_path, key, other), "--json").data
    assert data["trusted"] == [load_public_key(public(key)).key_id]
    assert cli("verify", bundle, "--trusted", trusted(tmp_path, key, other, threshold=2)).code == 4
    assert cli("verify", bundle, "--trusted", tmp_path / "none.toml").code == 4
    assert cli("verify", bundle, "--threshold", "1").code == 2
    assert cli("verify", bundle, "--public-key", public(key), "--threshold", "2").code == 4
    assert cli("verify", bundle, "--public-key", key).code == 4


def test_verify_ends_with_4_for_any_damage(cli, bundle: Path, key: Path) -> None:
    cli("sign", bundle, "--key", key)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    said = cli("verify", bundle, "--public-key", public(key), "--json")
    assert said.code == 4 and said.data["error"] == "BundleError"


def test_run_takes_only_what_the_trusted_signed(cli, bundle: Path, key: Path, other: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(PARTS.golden_images[0]).save(image)
    assert "; not signed" in cli("run", bundle, image).err
    cli("sign", bundle, "--key", other)
    said = cli("run", bundle, image, "--trusted", trusted(tmp_path, key))
    assert said.code == 4 and said.out == "" and "nobody who is trusted" in said.err
    cli("sign", bundle, "--key", key)
    said = cli("run", bundle, image, "--trusted", trusted(tmp_path, key))
    assert said.code == 0 and "; signed by Ada (" in said.err and "a.png" in said.out


def test_under_the_governor_too(cli, key: Path, other: Path, tmp_path: Path) -> None:
    path, image = tmp_path / "null.shoe", tmp_path / "a.png"
    make_null_bundle(path)
    Image.fromarray(PARTS.golden_images[0]).save(image)
    cli("sign", path, "--key", other)
    for words in (("run", path, image, "--fps", "50"), ("serve", path, "--port", "0")):
        said = cli(*words, "--trusted", trusted(tmp_path, key))
        assert said.code == 4 and said.out == "" and "nobody who is trusted" in said.err
    cli("sign", path, "--key", key)
    said = cli("run", path, image, "--fps", "50", "--trusted", trusted(tmp_path, key))
    assert said.code == 0 and "signed by Ada (" in said.err


def test_a_signature_is_of_the_file_that_was_opened(cli, bundle: Path, key: Path, tmp_path: Path) -> None:
    """Public keys with a comment and without are the same key."""
    cli("sign", bundle, "--key", key)
    plain = tmp_path / "plain.pub"
    plain.write_text("".join(public_pem(load_public_key(public(key))).splitlines(keepends=True)[1:]))
    assert cli("verify", bundle, "--public-key", plain).code == 0
    with open_bundle(bundle) as opened:
        assert opened.signatures[0].keyid == load_public_key(plain).key_id
