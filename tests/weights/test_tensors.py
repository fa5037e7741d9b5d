"""Tensors mapped from one file and from several, in the formats that we read headers of."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_gguf import NARROW, tiny_gguf, tiny_weights

from shoestring.base.errors import DataError, ModelError
from shoestring.domain.weights import StoredTensor, WeightsFile
from shoestring.importers.gguf.header import read_header
from shoestring.importers.safetensors.header import read_header as read_safetensors
from shoestring.weights.tensors import open_tensors


def test_all_tensors_by_name(tmp_path):
    path = tiny_gguf(tmp_path / "tiny.gguf", dataclasses.replace(NARROW, type="Q8_0"))
    header = read_header(path)
    with open_tensors(path, header) as tensors:
        assert list(tensors) == [tensor.name for tensor in header.tensors] and len(tensors) == len(header.tensors)
        for name, weight in tiny_weights(NARROW).items():
            assert tensors[name].dtype == np.uint8 and tensors[name].size == tensors.place(name).size_bytes
            assert not tensors[name].flags.writeable
            values = tensors.floats(name)
            assert values.shape == weight.shape
            assert np.abs(values - weight).max() <= (0 if weight.ndim == 1 else np.abs(weight).max() / 250)
        with pytest.raises(KeyError):
            tensors["head.weight"]
        kept = tensors["token_embd.weight"]
    assert kept.sum() > 0, "what was taken out stays whole"


def test_safetensors(tmp_path):
    weights = {"a": np.arange(64, dtype=np.float32).reshape(2, 32), "b": np.ones((3, 4), np.float16)}
    save_file(weights, tmp_path / "one.safetensors")
    header = read_safetensors(tmp_path / "one.safetensors")
    with open_tensors(tmp_path / "one.safetensors", header) as tensors:
        for name, weight in weights.items():
            assert np.array_equal(tensors.floats(name), weight)


def test_several_files_lie_beside_the_one_that_names_them(tmp_path):
    (tmp_path / "a.bin").write_bytes(np.full(4, 1.5, "<f4").tobytes())
    (tmp_path / "b.bin").write_bytes(bytes(8) + np.full(2, 2.5, "<f4").tobytes())
    places = (StoredTensor("a", "F32", (2, 2), 0, 16, "a.bin"), StoredTensor("b", "F32", (2,), 8, 8, "b.bin"))
    header = WeightsFile("safetensors", 0, None, {}, places, 8, 32, files=("a.bin", "b.bin"))
    with open_tensors(tmp_path / "index.json", header) as tensors:
        assert np.array_equal(tensors.floats("a"), np.full((2, 2), 1.5))
        assert np.array_equal(tensors.floats("b"), np.full(2, 2.5))
    (tmp_path / "b.bin").unlink()
    (tmp_path / "b.bin").symlink_to(tmp_path / "a.bin")
    with pytest.raises(DataError, match=r"cannot open 'b\.bin'"), open_tensors(tmp_path / "index.json", header):
        pass
    outside = dataclasses.replace(header, tensors=(dataclasses.replace(places[0], file="../a.bin"),))
    with pytest.raises(DataError, match="not a plain relative path"), open_tensors(tmp_path / "index.json", outside):
        pass


def test_a_file_that_changed_its_size_is_refused(tmp_path):
    path = tiny_gguf(tmp_path / "tiny.gguf", NARROW)
    header = read_header(path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="bytes when its header was read"), open_tensors(path, header):
        pass
    path.unlink()
    with pytest.raises(ModelError, match="No such file"), open_tensors(path, header):
        pass
