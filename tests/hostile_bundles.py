"""Bundles that are not what they claim: the list of attacks, and what they are made of."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from factory import make_bundle_parts
from shoestring.base import canonical
from shoestring.bundle.layout import MANIFEST_NAME, Entry, blob_name, directory, local_header
from shoestring.bundle.packing import with_forms
from shoestring.bundle.stored import DEFLATE, packed
from shoestring.domain.manifest import FORMAT


class Deflated(bytes):
    """The stored bytes of a compressed entry; `plain` is what a tool should take out."""

    plain: bytes


def deflated(data: bytes, plain: bytes) -> Deflated:
    """`data` as it is, with a record that says it expands to `plain`."""
    made = Deflated(data)
    made.plain = plain
    return made


PARTS = make_bundle_parts()
MANIFEST, _ = with_forms(PARTS.manifest, PARTS.blobs)
FORMS = {blob.sha256: blob for blob in MANIFEST.blobs}
TEXT = canonical.encode(MANIFEST)
HASHES = sorted(PARTS.blobs)
FIRST = HASHES[0]
END_BYTES = 22


def stored_form(name: str) -> bytes:
    """A blob as it lies in the sound bundle. None of the small ones is stored in planes."""
    form, content = FORMS[name], PARTS.blobs[name]
    if form.stored is None:
        return content
    assert form.stored.encoding == DEFLATE
    return deflated(b"".join(packed(form, [content])), content)


PIECES = {name: stored_form(name) for name in HASHES}


def record(name: str, data: bytes) -> Entry:
    """A sound record for these stored bytes."""
    if isinstance(data, Deflated):
        return Entry(name, len(data.plain), zlib.crc32(data.plain), len(data))
    return Entry(name, len(data), zlib.crc32(data))


def archive(entries: list[tuple[str, bytes]]) -> bytes:
    """A well-formed archive of any entries, by the project's own layout: an attacker can read the source."""
    records = [record(name, data) for name, data in entries]
    body = b"".join(local_header(entry) + data for entry, (_, data) in zip(records, entries, strict=True))
    return body + directory(records)


def bundle_bytes(text: bytes = TEXT, blobs: dict[str, bytes] | None = None) -> bytes:
    """The archive with this manifest and these blobs, whether they belong together or not."""
    blobs = PIECES if blobs is None else blobs
    return archive([(MANIFEST_NAME, text), *((blob_name(name), blobs[name]) for name in sorted(blobs))])


GOOD = bundle_bytes()


def _by_zipfile(change: Callable[[zipfile.ZipInfo], object], entries: list[tuple[str, bytes]] | None = None) -> bytes:
    """What Python's own writer gives for the same content, with something changed on each entry's record."""
    stream = io.BytesIO()
    entries = entries or [(MANIFEST_NAME, TEXT), *((blob_name(name), PIECES[name]) for name in HASHES)]
    with zipfile.ZipFile(stream, "w") as out:
        for name, data in entries:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            compressed = isinstance(data, Deflated)
            info.compress_type, plain = (zipfile.ZIP_DEFLATED, data.plain) if compressed else (zipfile.ZIP_STORED, data)
            change(info)
            out.writestr(info, plain, compresslevel=9)
    return stream.getvalue()


def _patch(where: bytes, offset: int, value: bytes, *, last: bool = False) -> bytes:
    """GOOD with `value` written `offset` bytes after the first (or last) occurrence of `where`."""
    at = (GOOD.rindex(where) if last else GOOD.index(where)) + offset
    return GOOD[:at] + value + GOOD[at + len(value) :]


def _manifest(change: Callable[[dict[str, Any]], object]) -> bytes:
    """GOOD with a changed manifest, written canonically."""
    plain = json.loads(TEXT)
    change(plain)
    return bundle_bytes(canonical.encode(plain))


def _swapped() -> bytes:
    """The contents of two blobs of one size change places."""
    sizes: dict[tuple[int, int], list[str]] = {}
    for name, data in PIECES.items():
        sizes.setdefault((len(data), len(PARTS.blobs[name])), []).append(name)
    one, other = next(names for names in sizes.values() if len(names) > 1)[:2]
    return bundle_bytes(blobs=PIECES | {one: PIECES[other], other: PIECES[one]})


def _renamed(new: str) -> bytes:
    """The first blob under another name, in the manifest as in the archive."""
    text = TEXT.replace(FIRST.encode(), new.encode())
    rest = [(blob_name(name), PIECES[name]) for name in HASHES[1:]]
    return archive([(MANIFEST_NAME, text), (f"blobs/{new}", PIECES[FIRST]), *rest])


def _second_directory() -> bytes:
    """An empty directory after the real one: readers that look from the end see an empty archive."""
    return GOOD + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0, 0, 0, len(GOOD), 0)


def _flipped_blob() -> bytes:
    """Another content of the same length, compressed to the same length."""
    for place in range(len(PARTS.blobs[FIRST])):
        plain = bytearray(PARTS.blobs[FIRST])
        plain[place] ^= 1
        data = b"".join(packed(FORMS[FIRST], [bytes(plain)]))
        if len(data) == len(PIECES[FIRST]):
            return bundle_bytes(blobs=PIECES | {FIRST: deflated(data, bytes(plain))})
    raise AssertionError("no change keeps the compressed length")


CENTRAL = b"PK\1\2"

ATTACKS: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"",
    "text": lambda: b"hello\n" * 100,
    "header only": lambda: GOOD[:43],
    "cut in the manifest": lambda: GOOD[:1000],
    "cut in a blob": lambda: GOOD[: len(TEXT) + 500],
    "cut in the directory": lambda: GOOD[:-60],
    "last byte missing": lambda: GOOD[:-1],
    "one byte appended": lambda: GOOD + b"\0",
    "archive comment": lambda: GOOD[:-2] + b"\5\0hello",
    "prefixed": lambda: b"#!/bin/sh\n" + GOOD,
    "two bundles": lambda: GOOD + GOOD,
    "second directory": _second_directory,
    "blob changed, checksum mended": _flipped_blob,
    "blobs swapped": _swapped,
    "blob missing": lambda: bundle_bytes(blobs={name: PIECES[name] for name in HASHES[1:]}),
    "blob added": lambda: bundle_bytes(blobs=PIECES | {canonical.sha256_hex(b"x"): b"x"}),
    "entry added": lambda: archive(
        [(MANIFEST_NAME, TEXT), *((blob_name(name), PIECES[name]) for name in HASHES), ("../../evil", b"x")]
    ),
    "duplicate manifest": lambda: _by_zipfile(
        lambda info: None,
        [(MANIFEST_NAME, TEXT), *((blob_name(name), PIECES[name]) for name in HASHES), (MANIFEST_NAME, b"{}")],
    ),
    "duplicate blob": lambda: _by_zipfile(
        lambda info: None,
        [(MANIFEST_NAME, TEXT), (blob_name(FIRST), PIECES[FIRST])]
        + [(blob_name(name), PIECES[name]) for name in HASHES],
    ),
    "blobs out of order": lambda: archive(
        [(MANIFEST_NAME, TEXT), *((blob_name(name), PIECES[name]) for name in reversed(HASHES))]
    ),
    "manifest last": lambda: archive([*((blob_name(name), PIECES[name]) for name in HASHES), (MANIFEST_NAME, TEXT)]),
    "manifest compressed": lambda: _by_zipfile(lambda info: setattr(info, "compress_type", zipfile.ZIP_DEFLATED)),
    "nothing compressed": lambda: _by_zipfile(lambda info: setattr(info, "compress_type", zipfile.ZIP_STORED)),
    "compressed by another method": lambda: _by_zipfile(lambda info: setattr(info, "compress_type", zipfile.ZIP_BZIP2)),
    "other time": lambda: _by_zipfile(lambda info: setattr(info, "date_time", (2024, 1, 1, 0, 0, 0))),
    "other mode": lambda: _by_zipfile(lambda info: setattr(info, "external_attr", 0o100755 << 16)),
    "link": lambda: _by_zipfile(lambda info: setattr(info, "external_attr", 0o120777 << 16)),
    "extra field": lambda: _by_zipfile(lambda info: setattr(info, "extra", b"\x99\x99\4\0evil")),
    "entry comment": lambda: _by_zipfile(lambda info: setattr(info, "comment", b"evil")),
    "encrypted flag": lambda: _patch(b"PK\3\4", 6, b"\1\0"),
    "encrypted flag in the directory": lambda: _patch(CENTRAL, 8, b"\1\0"),
    "data descriptor flag": lambda: _patch(b"PK\3\4", 6, b"\x08\0"),
    "64-bit sizes": lambda: _patch(b"PK\3\4", 18, b"\xff" * 8),
    "64-bit sizes in the directory": lambda: _patch(CENTRAL, 20, b"\xff" * 8),
    "local name differs": lambda: _patch(f"blobs/{FIRST}".encode(), 0, b"globs"),
    "directory name differs": lambda: _patch(f"blobs/{FIRST}".encode(), 0, b"globs", last=True),
    "directory offset differs": lambda: _patch(CENTRAL, 42, b"\1\0\0\0"),
    "directory size differs": lambda: _patch(CENTRAL, 20, struct.pack("<LL", len(TEXT) - 1, len(TEXT) - 1)),
    "directory checksum differs": lambda: _patch(CENTRAL, 16, b"\0\0\0\0"),
    "local checksum differs": lambda: _patch(b"PK\3\4", 14, b"\0\0\0\0"),
    "number of disks": lambda: _patch(b"PK\5\6", 4, b"\1\0", last=True),
    "number of entries": lambda: _patch(b"PK\5\6", 8, b"\1\0\1\0", last=True),
    "4 GB manifest claimed": lambda: _patch(b"PK\3\4", 18, struct.pack("<LL", 2**32 - 2, 2**32 - 2)),
    "3 GB blob claimed": lambda: _manifest(lambda m: m["blobs"][0].update(size_bytes=3 * 2**30)),
    "negative size": lambda: _manifest(lambda m: m["blobs"][0].update(size_bytes=-1)),
    "wrong size": lambda: _manifest(lambda m: m["blobs"][0].update(size_bytes=m["blobs"][0]["size_bytes"] + 1)),
    "name is a path": lambda: _renamed("../../../../etc/passwd"),
    "name is an upper-case hash": lambda: _renamed(FIRST.upper()),
    "name is too short": lambda: _renamed(FIRST[:-1]),
    "name is another hash": lambda: _renamed("0" * 64),
    "unknown key": lambda: _manifest(lambda m: m.update(run_first="rm -rf /")),
    "unknown key inside": lambda: _manifest(lambda m: m["ladder"]["rungs"][0].update(extra=1)),
    "missing key": lambda: _manifest(lambda m: m.pop("labels")),
    "unknown format": lambda: _manifest(lambda m: m.update(format=FORMAT + 1)),
    "older format": lambda: _manifest(lambda m: m.update(format=1)),
    "wrong type": lambda: _manifest(lambda m: m.update(labels="cat")),
    "duplicate key": lambda: bundle_bytes(b'{"format":2,' + TEXT[1:]),
    "duplicate key inside": lambda: bundle_bytes(TEXT.replace(b'"threads":1', b'"threads":1,"threads":1', 1)),
    "keys out of order": lambda: bundle_bytes(json.dumps(dict(reversed(json.loads(TEXT).items()))).encode()),
    "blanks": lambda: bundle_bytes(json.dumps(json.loads(TEXT), sort_keys=True).encode()),
    "newline at the end": lambda: bundle_bytes(TEXT + b"\n"),
    "byte order mark": lambda: bundle_bytes(b"\xef\xbb\xbf" + TEXT),
    "not UTF-8": lambda: bundle_bytes(TEXT.replace(b"tiny", b"\xff\xff\xff\xff").replace(b"truck", b"tru\xffk")),
    "half a surrogate pair": lambda: bundle_bytes(TEXT.replace(b"truck", b"\\ud800")),
    "escaped letter": lambda: bundle_bytes(TEXT.replace(b"truck", b"\\u0074ruck")),
    "integer for a float": lambda: bundle_bytes(TEXT.replace(b'"latency_ms":5.0', b'"latency_ms":5')),
    "NaN": lambda: bundle_bytes(TEXT.replace(b'"latency_ms":5.0', b'"latency_ms":NaN')),
    "infinity": lambda: bundle_bytes(TEXT.replace(b'"latency_ms":5.0', b'"latency_ms":1e999')),
    "4,000-digit integer": lambda: bundle_bytes(TEXT.replace(b'"format":2,', b'"format":' + b"9" * 4000 + b",")),
    "manifest is a list": lambda: bundle_bytes(b"[]"),
    "manifest is empty": lambda: bundle_bytes(b""),
}


def mutate(rng: random.Random, good: bytes, meaning: int) -> bytes:
    """`good` after one to three random edits of its bytes; half of them hit the first `meaning` bytes."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), meaning))
        length = min(rng.choice((1, 2, 4, 8, 100)), len(data) - at)
        other = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[other : other + length]
        elif kind == 3:
            data[at : at + length] = rng.choice((b"\0", b"\xff", b"PK\3\4", b"9", b'"', b"{")) * length
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**53 + 1, 10**18 - 1, 0.0, -0.0, 0.5, 1e308, -1e-308),
    *("", "x", "\x1b[2J", "\u202e", "0" * 64, "\udc00", "\0", "a" * 10_000, "../x"),
    *([], {}, [[]], [0], ["x"], {"a": 1}),
)


def odd_manifest(rng: random.Random) -> bytes:
    """The manifest as `odd` changes it."""
    return odd(rng, TEXT)


def odd(rng: random.Random, text: bytes) -> bytes:
    """Canonical JSON with a few values replaced, dropped, doubled or moved, written canonically.

    Raises:
        UnicodeEncodeError: of half a surrogate pair, which no bytes stand for.
    """
    plain = json.loads(text)
    for _ in range(rng.randint(1, 2)):
        node: Any = plain
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.85:
                node = node[key]
                continue
            action = rng.randrange(6)
            if action == 0:
                del node[key]
            elif action == 1 and isinstance(node, list):
                node.append(copy.deepcopy(node[key]))
            elif action == 2:
                node[key] = copy.deepcopy(node[rng.choice(keys)])
            else:
                node[key] = copy.deepcopy(rng.choice(ODD_VALUES))
            break
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
