"""safetensors headers and indexes: what is sound is read whole, what is not is refused by its fault."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import weights_files as files
from shoestring.base.errors import ModelError
from shoestring.domain.weights import WeightsFile
from shoestring.importers.safetensors import header, index


def read(data: bytes) -> WeightsFile:
    return header.read_stream(io.BytesIO(data), len(data))


def changed(name: str = "b.weight", **fields: Any) -> bytes:
    return files.safetensors({**files.TENSORS, name: {**files.TENSORS["b.weight"], **fields}})


def test_a_sound_file_is_read_whole() -> None:
    data = files.safetensors()
    found = read(data)
    assert [(one.name, one.type, one.shape, one.size_bytes) for one in found.tensors] == [
        ("a.weight", "F32", (2, 4), 32),
        ("b.weight", "BF16", (2, 2, 2), 16),
        ("c.weight", "U8", (8,), 8),
    ]
    assert found.tensors[0].offset == len(data) - 56 and found.metadata == {"format": "pt"}
    assert found.parameters == 24 and found.bytes_by_type == {"F32": 32, "BF16": 16, "U8": 8}
    assert found.architecture is None


@pytest.mark.parametrize("dtype", header.BITS)
def test_every_type(dtype: str) -> None:
    size = header.BITS[dtype]
    data = files.safetensors({"w": {"dtype": dtype, "shape": [4, 2], "data_offsets": [0, size]}}, body=bytes(size))
    assert read(data).tensors[0].size_bytes == size


def test_scalars_empty_tensors_blanks_and_no_tensors() -> None:
    tensors = {
        "empty": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]},
        "scalar": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]},
    }
    assert read(files.safetensors(tensors, body=bytes(8))).parameters == 1
    assert read(files.safetensors(b"{}      ", body=b"")).tensors == ()


T = files.TENSORS
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "fewer than a header"),
    "header beyond the file": (files.safetensors(length=2**20), "more than the"),
    "header of 2^64": (files.safetensors(length=2**64 - 1), "more than the"),
    "no brace": (files.safetensors(b" {}", body=b""), "begin with a brace"),
    "a list": (files.safetensors(b"[]", body=b""), "begin with a brace"),
    "not UTF-8": (files.safetensors(b'{"\xff": 1}'), "not sound JSON"),
    "two objects": (files.safetensors(b"{}{}", body=b""), "not sound JSON"),
    "key twice": (files.safetensors(b'{"__metadata__":{},"__metadata__":{}}', body=b""), "twice"),
    "field twice": (files.safetensors(b'{"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}}'), "twice"),
    "NaN": (files.safetensors(b'{"a": NaN}'), "holds NaN"),
    "endless digits": (files.safetensors(b'{"a": ' + b"9" * 5000 + b"}"), "5000 digits"),
    "deep": (files.safetensors(b'{"a":' * 200_000), "nested too deeply|more than the limit"),
    "metadata of numbers": (files.safetensors({**T, "__metadata__": {"a": 1}}), "no map of texts"),
    "metadata as a list": (files.safetensors({**T, "__metadata__": ["a"]}), "no map of texts"),
    "metadata key that moves the cursor": (files.safetensors({**T, "__metadata__": {"\x1b[2J": ""}}), "__metadata__"),
    "half a letter": (files.safetensors(b'{"__metadata__":{"a":"\\ud800"}}', body=b""), "is no text"),
    "half a letter in a name": (files.safetensors(b'{"\\ud800":{}}', body=b""), "of the name"),
    "empty name": (files.safetensors({"": T["a.weight"]}), "of the name ''"),
    "long name": (files.safetensors({"n" * 600: T["a.weight"]}), "of the name"),
    "field missing": (files.safetensors({"a": {"dtype": "U8", "shape": []}}), "other fields"),
    "field too many": (changed(stride=[1]), "other fields"),
    "entry that is a number": (files.safetensors({"a": 3}), "other fields"),
    "unknown type": (changed(dtype="F128"), "element type 'F128'"),
    "type that is a list": (changed(dtype=["F32"]), "element type"),
    "negative size": (changed(shape=[-2, -2, 2]), "no sound shape"),
    "size as truth": (changed(shape=[True, 2, 4]), "no sound shape"),
    "size as a float": (changed(shape=[2.0, 2, 2]), "no sound shape"),
    "shape as text": (changed(shape="222"), "no sound shape"),
    "17 axes": (changed(shape=[1] * 16 + [8]), "no sound shape"),
    "one offset": (changed(data_offsets=[32]), "no sound offsets"),
    "negative offset": (changed(data_offsets=[-16, 0]), "no sound offsets"),
    "offsets the wrong way": (changed(data_offsets=[48, 32]), "takes 16 bytes, but states -16"),
    "shape larger than its bytes": (changed(shape=[2, 2, 3]), "takes 24 bytes, but states 16"),
    "product beyond 64 bits": (changed(shape=[2**40, 2**40]), "bytes, but states 16"),
    "half a byte": (changed(dtype="F4", shape=[3], data_offsets=[32, 33]), "takes 1.5 bytes"),
    "overlap": (changed(data_offsets=[24, 40]), "overlaps another"),
    "one place for two": (changed(name="d.weight"), "overlaps another"),
    "gap": (changed(shape=[2, 2, 1], data_offsets=[40, 48]), "leaves 8 bytes unused"),
    "bytes left over": (files.safetensors(body=bytes(60)), "the file has"),
    "body cut": (files.safetensors(body=bytes(55)), "the file has"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_unsound_files_are_refused_by_their_fault(name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(ModelError, match=words) as told:
        read(data)
    assert told.value.hint and len(told.value.message) < 700 and told.value.message.isprintable()


def test_every_truncation_is_refused() -> None:
    data = files.safetensors()
    for size in range(len(data)):
        with pytest.raises(ModelError):
            read(data[:size])


def test_a_reader_without_the_rule_on_cover_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A saboteur: tensors may lie anywhere."""
    monkeypatch.setattr(header, "_check_cover", lambda *_: None)
    through = []
    for name, (data, _) in REFUSED.items():
        try:
            read(data)
            through.append(name)
        except ModelError:
            continue
    assert set(through) == {"overlap", "one place for two", "gap", "bytes left over", "body cut"}


class Shards:
    """A model in two files and their index."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "model.safetensors.index.json"
        one = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
        two = {"b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}
        (folder / "model-1.safetensors").write_bytes(files.safetensors(one, body=bytes(8)))
        (folder / "model-2.safetensors").write_bytes(files.safetensors(two, body=bytes(4)))

    def read(self, weight_map: Any, metadata: Any = None) -> WeightsFile:
        found = {"weight_map": weight_map, **({} if metadata is None else {"metadata": metadata})}
        self.path.write_text(json.dumps(found))
        return index.read_index(self.path)


GOOD = {"a": "model-1.safetensors", "b": "model-2.safetensors"}


def test_an_index_leads_to_all_files(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    found = shards.read(GOOD, {"total_size": 12})
    assert found.files == tuple(sorted(GOOD.values())) and found.parameters == 6
    assert [(one.name, one.file) for one in found.tensors] == sorted(GOOD.items())
    assert shards.read(GOOD, {"total_size": 12.0}) == shards.read(GOOD) == found


@pytest.mark.parametrize(
    ("weight_map", "metadata", "words"),
    [
        ({**GOOD, "c": "model-1.safetensors"}, None, "'c' stands in no file"),
        ({"a": GOOD["b"], "b": GOOD["a"]}, None, "'a' stands in model-1"),
        ({"a": GOOD["a"]}, {"total_size": 12}, "the index states 12 bytes, and the files hold 8"),
        (GOOD, {"total_size": -1}, "unusual way"),
        (GOOD, {"total_size": True}, "unusual way"),
        (GOOD, [], "unusual way"),
        ({}, None, "names 0 files"),
        ([], None, "no weight_map"),
        ({"a": 1}, None, "no weight_map"),
        ({"a": "model-1.bin"}, None, "no .safetensors file"),
        ({f"t{number}": f"{number}.safetensors" for number in range(1025)}, None, "names 1,025 files"),
        ({"a": "gone.safetensors"}, None, "cannot open"),
    ],
)
def test_false_indexes(tmp_path: Path, weight_map: Any, metadata: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words) as told:
        Shards(tmp_path).read(weight_map, metadata)
    assert told.value.hint


def test_a_tensor_in_two_files_and_an_unsound_file_are_named(tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    (tmp_path / "model-2.safetensors").write_bytes((tmp_path / "model-1.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"'a' stands in model-1.* and model-2"):
        shards.read(GOOD)
    (tmp_path / "model-2.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model-2\.safetensors: the file has 1 bytes"):
        shards.read(GOOD)
