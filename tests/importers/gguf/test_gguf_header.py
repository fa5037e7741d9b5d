"""GGUF headers: what is sound is read whole, what is not is refused by what is wrong with it."""

from __future__ import annotations

import dataclasses
import io
import struct
from typing import Any

import pytest

import weights_files as files
from shoestring.base import limits
from shoestring.base.errors import ModelError
from shoestring.domain.weights import LongList, WeightsFile
from shoestring.importers.gguf import header
from shoestring.weights.block_types import block_types


def read(data: bytes) -> WeightsFile:
    return header.read_stream(io.BytesIO(data), len(data))


def with_pair(key: str | bytes, value: bytes) -> bytes:
    return files.gguf(pairs=[("general.architecture", files.string("llama")), (key, value)])


def with_info(index: int = 1, **changes: Any) -> bytes:
    made = files.Gguf(body=bytes(files.BODY_BYTES))
    made.infos[index] = dataclasses.replace(made.infos[index], **changes)
    return made.data()


def test_a_sound_file_is_read_whole() -> None:
    data = files.gguf()
    found = read(data)
    assert (found.format, found.version, found.architecture) == ("GGUF", 3, "llama")
    assert [(one.name, one.type, one.shape, one.size_bytes) for one in found.tensors] == [
        ("a.weight", "F32", (2, 32), 256),
        ("b.weight", "Q4_0", (2, 32), 36),
        ("c.weight", "Q8_0", (32,), 34),
    ]
    assert found.tensors[0].offset == len(data) - files.BODY_BYTES and found.tensors[0].offset % 32 == 0
    assert found.parameters == 160 and found.bytes_by_type == {"F32": 256, "Q4_0": 36, "Q8_0": 34}
    assert found.metadata["llama.block_count"] == 2 and found.metadata["tokenizer.ggml.add_bos_token"] is True
    tokens, scores = found.metadata["tokenizer.ggml.tokens"], found.metadata["tokenizer.ggml.scores"]
    assert isinstance(tokens, LongList) and isinstance(scores, LongList)
    assert (tokens.type, tokens.count, tokens.first[:2]) == ("STRING", 20, ("word0", "word1"))
    assert data[tokens.offset : tokens.offset + tokens.size_bytes].endswith(b"word19")
    kept = struct.unpack(f"<{scores.count}f", data[scores.offset : scores.offset + scores.size_bytes])
    assert kept[-1] == -9.5 and len(scores.first) == limits.MAX_METADATA_KEPT
    assert found.header_bytes < found.tensors[0].offset and found.unused_bytes == 0


@pytest.mark.parametrize("kind", files.CODES)
def test_every_type_of_value(kind: str) -> None:
    value = True if kind == "BOOL" else 1
    found = read(with_pair("a.value", files.scalar(kind, value))).metadata["a.value"]
    assert found == value and isinstance(found, bool) == (kind == "BOOL")
    listed = read(with_pair("a.list", files.array(kind, [value] * 100))).metadata["a.list"]
    assert isinstance(listed, LongList) and (listed.type, listed.count) == (kind, 100)


@pytest.mark.parametrize("number", sorted(block_types()))
def test_every_block_type(number: int) -> None:
    kind = block_types()[number]
    info = files.Info("w", [kind.elements, 3], number, 0)
    found = read(files.gguf(infos=[info], body=bytes(3 * kind.size_bytes)))
    assert (found.tensors[0].type, found.tensors[0].size_bytes) == (kind.name, 3 * kind.size_bytes)


def test_version_2_a_file_without_tensors_and_one_with_spare_bytes() -> None:
    assert read(files.gguf(version=2)).version == 2
    assert read(files.gguf(infos=[], body=b"")).tensors == ()
    assert read(files.gguf() + bytes(70)).unused_bytes == 70
    assert read(files.gguf(pairs=[])).architecture is None


U64 = 2**64 - 1
REFUSED: dict[str, tuple[bytes, str]] = {
    "another magic": (files.gguf(magic=b"GGML"), "starts with b'GGML'"),
    "version 1": (files.gguf(version=1), "version 1 of GGUF"),
    "version 4": (files.gguf(version=4), "version 4 of GGUF"),
    "big-endian": (files.gguf(version=3 << 24), "big-endian"),
    "key twice": (files.gguf(pairs=[("a", files.string("x"))] * 2), "hold 'a' twice"),
    "empty key": (with_pair("", files.string("x")), "key 1 of the metadata is ''"),
    "key that moves the cursor": (with_pair("a\x1b[2J", files.string("x")), "key 1 of the metadata"),
    "key that is no text": (with_pair(b"\xff\xfe", files.string("x")), "is not UTF-8"),
    "value that is no text": (with_pair("a", files.string(b"\xff")), "'a' is not UTF-8"),
    "unknown type": (with_pair("a", struct.pack("<II", 13, 0)), "type number 13"),
    "list of lists": (with_pair("a", struct.pack("<IIQ", 9, 9, 1) + files.array("UINT8", [1])), "a list of lists"),
    "list of an unknown type": (with_pair("a", struct.pack("<IIQ", 9, 99, 1) + bytes(8)), "list of the type number 99"),
    "truth of 2": (with_pair("a", struct.pack("<IB", 7, 2)), "a truth value of 2"),
    "not a number": (with_pair("a", files.scalar("FLOAT32", float("nan"))), "'a' is nan"),
    "endless": (with_pair("a", files.scalar("FLOAT64", float("inf"))), "'a' is inf"),
    "architecture as a number": (files.gguf(pairs=[("general.architecture", files.scalar("UINT8", 1))]), "no text"),
    "alignment 24": (with_pair("general.alignment", files.scalar("UINT32", 24)), "must be a power of two"),
    "alignment 0": (with_pair("general.alignment", files.scalar("UINT32", 0)), "must be a power of two"),
    "alignment 2^31": (with_pair("general.alignment", files.scalar("UINT32", 2**31)), "must be a power of two"),
    "alignment as text": (with_pair("general.alignment", files.string("32")), "must be a power of two"),
    "alignment of a wide type": (with_pair("general.alignment", files.scalar("UINT64", 32)), "must be a power of two"),
    "alignment of truth": (with_pair("general.alignment", files.scalar("BOOL", True)), "must be a power of two"),
    "name twice": (with_info(name="a.weight"), "two tensors of the name 'a.weight'"),
    "empty name": (with_info(name=""), "has the name ''"),
    "name with a control letter": (with_info(name="a\nb"), "has the name"),
    "name of 65 bytes": (with_info(name="n" * 65), "65 bytes, more than the limit of 64"),
    "no axes": (with_info(sizes=[]), "has 0 axes"),
    "five axes": (with_info(sizes=[32, 1, 1, 1, 1]), "has 5 axes"),
    "unknown block type": (with_info(kind=4), "type number 4, which is not known"),
    "half a block": (with_info(sizes=[16, 4]), "multiples of 32"),
    "product beyond 64 bits": (with_info(sizes=[2**40, 2**40]), "claims"),
    "overlap": (with_info(offset=224), "overlaps"),
    "gap": (with_info(offset=288), "leaves a gap"),
    "offset against the alignment": (with_info(offset=250), "overlaps"),
    "body cut": (files.gguf(body=bytes(353)), "ends at byte"),
    "larger than the file": (with_info(index=2, sizes=[32 * 2**20]), "ends at byte"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_unsound_files_are_refused_by_their_fault(name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(ModelError, match=words) as told:
        read(data)
    assert told.value.hint and len(told.value.message) < 400 and told.value.message.isprintable()


def test_every_truncation_is_refused() -> None:
    data = files.gguf()
    needed = len(data) - 30  # the last tensor's padding may be missing
    for size in range(needed):
        with pytest.raises(ModelError):
            read(data[:size])
    assert len(read(data[:needed]).tensors) == 3


def test_a_reader_without_the_rule_on_places_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A saboteur: it takes any offset."""

    def anywhere(infos: Any, start: int, *_: Any) -> Any:
        return (), start

    monkeypatch.setattr(header, "_placed", anywhere)
    through = [name for name, (data, _) in REFUSED.items() if _accepted(data)]
    assert {"overlap", "gap", "body cut", "larger than the file", "name twice"} <= set(through)


def _accepted(data: bytes) -> bool:
    try:
        read(data)
    except ModelError:
        return False
    return True
