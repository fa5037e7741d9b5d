"""Files with tensors stored anew: strict readers take them, llama.cpp runs them, and nothing else has changed."""

import gguf
import numpy as np
import pytest

import faults
from shoestring.base.errors import ModelError, UsageError
from shoestring.importers.gguf.header import read_header
from shoestring.weights.block_types import tensor_bytes
from shoestring.weights.pairs import metadata_pairs
from shoestring.weights.tensors import open_tensors
from shoestring.weights.writing import write_gguf
from tiny_gguf import NARROW, ODD, WIDE, tiny_gguf, tiny_weights


def matrices(what):
    return [name for name, weight in tiny_weights(what).items() if weight.ndim == 2]


def rounded(what, kind):
    """Data by the package `gguf`, as a writer of another hand."""
    weights = tiny_weights(what)
    return lambda name: gguf.quantize(weights[name], gguf.GGMLQuantizationType[kind]).view(np.uint8)


@pytest.mark.parametrize("what", [WIDE, NARROW, ODD], ids=["wide", "narrow", "odd"])
def test_only_what_was_named_changes(tmp_path, what):
    source = tiny_gguf(tmp_path / "tiny.gguf", what)
    header = read_header(source)
    names = matrices(what)[1:]
    write_gguf(tmp_path / "out.gguf", source, header, dict.fromkeys(names, "Q4_0"), rounded(what, "Q4_0"))
    found = read_header(tmp_path / "out.gguf")
    assert found.metadata | {"general.file_type": 0} == header.metadata, "file_type alone is another"
    assert found.metadata["general.file_type"] == 2
    assert found.unused_bytes == 0
    with open_tensors(source, header) as before, open_tensors(tmp_path / "out.gguf", found) as after:
        assert list(before) == list(after)
        for name in before:
            if name in names:
                assert after.place(name).type == "Q4_0"
                assert np.array_equal(after[name], rounded(what, "Q4_0")(name).reshape(-1))
            else:
                assert np.array_equal(after[name], before[name])
                assert np.array_equal(after.floats(name), tiny_weights(what)[name])


def test_a_reader_of_another_hand_takes_it(tmp_path):
    source = tiny_gguf(tmp_path / "tiny.gguf", NARROW)
    out = tmp_path / "out.gguf"
    write_gguf(out, source, read_header(source), {"token_embd.weight": "Q8_0"}, rounded(NARROW, "Q8_0"))
    read = gguf.GGUFReader(str(out))
    assert {tensor.name: tensor.tensor_type.name for tensor in read.tensors}["token_embd.weight"] == "Q8_0"
    original = gguf.GGUFReader(str(source))
    assert {key: field.contents() for key, field in read.fields.items() if not key.startswith("GGUF.")} | {
        "general.file_type": 0
    } == {key: field.contents() for key, field in original.fields.items() if not key.startswith("GGUF.")}
    for tensor, before in zip(read.tensors, original.tensors, strict=True):
        assert (tensor.name, list(tensor.shape)) == (before.name, list(before.shape))


def test_another_alignment_is_kept(tmp_path):
    writer = gguf.GGUFWriter(str(tmp_path / "aligned.gguf"), "llama")
    writer.add_custom_alignment(256)
    writer.add_tensor("blk.0.a.weight", np.ones((3, 32), np.float32))
    writer.add_tensor("blk.0.b.weight", np.ones((1, 32), np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    aligned = tmp_path / "aligned.gguf"
    data = gguf.quantize(np.ones((3, 32), np.float32), gguf.GGMLQuantizationType.Q8_0)
    write_gguf(tmp_path / "out.gguf", aligned, read_header(aligned), {"blk.0.a.weight": "Q8_0"}, lambda _: data)
    found = read_header(tmp_path / "out.gguf")
    assert all(tensor.offset % 256 == 0 for tensor in found.tensors)
    assert found.metadata["general.file_type"] == 7, "added where there was none"


def test_what_cannot_be_written(tmp_path):
    source = tiny_gguf(tmp_path / "tiny.gguf", NARROW)
    header, out = read_header(source), tmp_path / "out.gguf"
    data = rounded(NARROW, "Q8_0")
    with pytest.raises(UsageError, match=r"has no tensor 'head\.weight'"):
        write_gguf(out, source, header, {"head.weight": "Q8_0"}, data)
    with pytest.raises(UsageError, match="is the file that is read"):
        write_gguf(source, source, header, {}, data)
    with pytest.raises(ModelError, match="rows of 64 elements cannot be stored as Q4_K"):
        write_gguf(out, source, header, {"token_embd.weight": "Q4_K"}, data)
    needed = tensor_bytes("Q4_0", tiny_weights(NARROW)["token_embd.weight"].shape)
    with pytest.raises(ModelError, match=f"takes {needed:,} bytes as Q4_0, and"):
        write_gguf(out, source, header, {"token_embd.weight": "Q4_0"}, data)
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(ModelError, match="bytes when its header was read, and has"):
        write_gguf(out, source, header, {}, data)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"], "nothing half-written stays"


def test_whatever_the_disk_refuses_the_file_is_the_old_or_the_new_one(tmp_path):
    source = tiny_gguf(tmp_path / "tiny.gguf", NARROW)
    header, data = read_header(source), rounded(NARROW, "Q4_0")

    def act(root):
        write_gguf(root / "out.gguf", source, header, dict.fromkeys(matrices(NARROW), "Q4_0"), data)

    def prepare(root):
        root.mkdir(parents=True, exist_ok=True)
        (root / "out.gguf").write_bytes(b"old")

    attempt = faults.Attempt(prepare, act, lambda root: (root / "out.gguf").read_bytes())
    assert faults.at_every_point(attempt) > 20


def test_metadata_that_end_early_are_refused(tmp_path):
    source = tiny_gguf(tmp_path / "tiny.gguf", NARROW)
    head = source.read_bytes()[: read_header(source).header_bytes]
    pairs = metadata_pairs(head)
    assert list(pairs) == list(read_header(source).metadata)
    end = 24 + sum(map(len, pairs.values()))
    assert head[24:end] == b"".join(pairs.values())
    for size in range(0, end, 97):
        with pytest.raises(ModelError, match="do not hold what they state"):
            metadata_pairs(head[:size])
