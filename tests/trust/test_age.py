"""Encryption to devices: the format of age both ways, and nothing but our own errors whatever comes in."""

from __future__ import annotations

import io
import os
import random
import stat
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

import age_by_hand
from proof_scale import SCALE
from shoestring.base.errors import BundleError, MissingExtraError, SignatureError, StorageError, UsageError
from shoestring.base.limits import MAX_AGE_HEADER_BYTES, MAX_AGE_KEY_FILE_BYTES, MAX_AGE_RECIPIENTS
from shoestring.trust import age

CONTENT = random.Random(1).randbytes(200_000)
CHUNK = 64 * 1024
ROOM = 10**9
OURS = age.Identity.make()


def sealed(content: bytes = CONTENT, to: tuple[str, ...] = (OURS.recipient,)) -> bytes:
    target = io.BytesIO()
    age.encrypt(io.BytesIO(content), target, to)
    return target.getvalue()


def opened(data: bytes, identity: age.Identity = OURS, largest_bytes: int = ROOM) -> bytes:
    target = io.BytesIO()
    assert age.decrypt(io.BytesIO(data), target, identity, largest_bytes=largest_bytes) == target.tell()
    return target.getvalue()


SEALED = sealed()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 200_000])
def test_what_was_encrypted_comes_back(size: int) -> None:
    assert opened(sealed(CONTENT[:size])) == CONTENT[:size]


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 200_000])
def test_the_format_is_that_of_the_specification_both_ways(size: int) -> None:
    """Held against an implementation of its own, written from the specification."""
    pair, other = age_by_hand.pair(), age_by_hand.pair()
    identity = age.Identity(pair.secret)
    assert identity.recipient == pair.recipient
    assert age_by_hand.unseal(sealed(CONTENT[:size], (other.recipient, pair.recipient)), pair.secret) == CONTENT[:size]
    assert opened(age_by_hand.seal(CONTENT[:size], [other.recipient, pair.recipient]), identity) == CONTENT[:size]


def test_each_of_the_devices_named_can_read_it_and_no_other() -> None:
    devices = [age.Identity.make() for _ in range(5)]
    data = sealed(b"content", tuple(device.recipient for device in devices))
    assert [opened(data, device) for device in devices] == [b"content"] * 5
    with pytest.raises(BundleError, match=f"not encrypted to this device \\({OURS.recipient}\\)"):
        opened(data)
    assert all(device.recipient.encode() not in data for device in devices)  # nor who they are


def test_nothing_of_the_content_shows() -> None:
    secret = b"a secret of thirty-two characters"
    assert secret not in sealed(secret * 1_000)


def test_a_flipped_bit_is_refused_wherever_it_is() -> None:
    rng = random.Random(2)
    places = [*range(60), *(rng.randrange(len(SEALED)) for _ in range(60 * SCALE)), len(SEALED) - 1]
    for place in places:
        broken = bytearray(SEALED)
        broken[place] ^= 1 << rng.randrange(8)
        with pytest.raises(BundleError):
            opened(bytes(broken))
    print(f"{len(places):,} flipped bits of an encrypted file, seed 2: all refused")


def test_who_leaves_out_the_tags_takes_changed_content_for_true() -> None:
    """The saboteur of the test above: it deciphers as we do, and believes what comes out."""
    secret = str(OURS._inner)
    changed = bytearray(SEALED)
    changed[len(SEALED) // 2] ^= 1
    assert age_by_hand.unseal(SEALED, secret, careless=True) == CONTENT
    believed = age_by_hand.unseal(bytes(changed), secret, careless=True)
    assert len(believed) == len(CONTENT) and believed != CONTENT
    with pytest.raises(BundleError):
        opened(bytes(changed))


def test_a_file_that_was_cut_or_goes_on_is_refused() -> None:
    begin = SEALED.index(b"\n", SEALED.index(b"\n--- ") + 1) + 1
    chunks = [begin + 16 + number * (CHUNK + 16) for number in range(4)]
    rng = random.Random(3)
    for end in [0, 1, 21, 22, begin - 1, begin, begin + 15, *chunks, *(rng.randrange(len(SEALED)) for _ in range(40))]:
        with pytest.raises(BundleError):
            opened(SEALED[:end])
    for more in (b"x", b"x" * (CHUNK + 16), SEALED):
        with pytest.raises(BundleError):
            opened(SEALED + more)
    one, two = SEALED[chunks[0] : chunks[1]], SEALED[chunks[1] : chunks[2]]
    with pytest.raises(BundleError):
        opened(SEALED[: chunks[0]] + two + one + SEALED[chunks[2] :])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin"),
        (b"PK\x03\x04" + bytes(100), "does not begin"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "armoured"),
        (age.MAGIC, "header does not end within 22 bytes"),
        (age.MAGIC + b"-> X25519 " + b"A" * (2 * MAX_AGE_HEADER_BYTES), f"the limit is {MAX_AGE_HEADER_BYTES}"),
        (age.MAGIC + b"--- \n", "cannot be decrypted"),
    ],
)
def test_what_is_no_age_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        opened(data)


def test_a_passphrase_is_not_asked_for() -> None:
    """Its work factor would let the file say how long we work."""
    import pyrage

    with pytest.raises(BundleError):
        opened(pyrage.passphrase.encrypt(b"content", "word"))


def test_content_above_the_limit_stops_at_the_limit() -> None:
    target = io.BytesIO()
    with pytest.raises(BundleError, match="more than 70000 bytes"):
        age.decrypt(io.BytesIO(SEALED), target, OURS, largest_bytes=70_000)
    assert target.tell() <= 70_000
    assert opened(SEALED, largest_bytes=len(CONTENT)) == CONTENT


class _Full(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


class _Torn(io.BytesIO):
    def read(self, count: int | None = -1) -> bytes:
        if self.tell() > 70_000:
            raise OSError(5, "Input/output error")
        return super().read(count)


@pytest.mark.parametrize(("source", "target", "number"), [(io.BytesIO, _Full, 28), (_Torn, io.BytesIO, 5)])
def test_errors_of_the_disk_stay_what_they_are(source: type[io.BytesIO], target: type[io.BytesIO], number: int) -> None:
    def reader(data: bytes) -> BinaryIO:
        stream: BinaryIO = source(data)
        return stream

    with pytest.raises(OSError) as decrypting:
        age.decrypt(reader(SEALED), target(), OURS, largest_bytes=ROOM)
    with pytest.raises(OSError) as encrypting:
        age.encrypt(reader(CONTENT), target(), (OURS.recipient,))
    assert decrypting.value.errno == encrypting.value.errno == number


def test_an_identity_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    before = os.umask(0o000)
    try:
        OURS.store(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert age.load_identity(path).recipient == OURS.recipient
    with pytest.raises(StorageError, match="exists already"):
        age.Identity.make().store(path)
    assert age.load_identity(path).recipient == OURS.recipient
    path.chmod(0o640)
    with pytest.raises(SignatureError, match="others than its owner"):
        age.load_identity(path)


def test_a_secret_does_not_show(tmp_path: Path) -> None:
    secret = str(OURS._inner)
    assert secret not in repr(OURS) and secret not in str(OURS) and secret not in f"{OURS}"
    path = tmp_path / "to.txt"
    path.write_text(secret)
    for words in ([secret], [str(path)]):
        with pytest.raises((UsageError, StorageError)) as found:
            age.recipients(words)
        shown = str(found.value)
        assert secret[20:] not in shown or words == [secret]  # what was typed as a path is named as one


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1XX\n", "AGE-SECRET-KEY-1A\nAGE-SECRET-KEY-1B\n"])
def test_a_file_without_exactly_one_identity_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "device.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SignatureError):
        age.load_identity(path)


def test_recipients_come_from_words_and_files(tmp_path: Path) -> None:
    one, two, three = (age.Identity.make().recipient for _ in range(3))
    (tmp_path / "fleet.txt").write_text(f"# the hall\n{one}\n\n  {two}\n{one}\n")
    assert age.recipients([three, str(tmp_path / "fleet.txt")]) == (three, one, two)


@pytest.mark.parametrize(
    "word",
    ["age1", "age1xyz", OURS.recipient[:-1], OURS.recipient.replace("age1", "age2")],
    ids=["empty", "short", "cut", "another kind"],
)
def test_what_is_no_recipient_is_refused(word: str) -> None:
    with pytest.raises((UsageError, StorageError)):
        age.recipients([word])


def test_files_that_are_no_recipients_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "to.txt"
    for data in (b"", b"\xff\xfe", b"#" * (MAX_AGE_KEY_FILE_BYTES + 1), b"age1\x1b[2J"):
        path.write_bytes(data)
        with pytest.raises(UsageError):
            age.recipients([str(path)])


def test_as_many_recipients_as_are_allowed_fit_the_header() -> None:
    """The two limits belong together: what we encrypt, we can decrypt."""
    to = (age_by_hand.pair().recipient,) * (MAX_AGE_RECIPIENTS - 1)  # the library does not mind the same one again
    data = sealed(b"content", (*to, OURS.recipient))
    assert data.index(b"\n--- ") < MAX_AGE_HEADER_BYTES
    assert opened(data) == b"content"


def test_too_many_recipients_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "MAX_AGE_RECIPIENTS", 2)
    with pytest.raises(UsageError, match="3 recipients"):
        age.recipients([age.Identity.make().recipient for _ in range(3)])


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(MissingExtraError, match="pyrage") as found:
        age.Identity.make()
    assert found.value.hint == "pip install 'shoestring[age]'"
