"""Every block type is read bit by bit as the package `gguf` reads it, whatever its bits say."""

import gguf
import numpy as np
import pytest

from shoestring.base.errors import ModelError
from shoestring.weights.block_types import applicable, block_type, block_types, tensor_bytes
from shoestring.weights.decode import dequantize
from shoestring.weights.layouts import LAYOUTS

OTHERS = ("IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ3_S", "IQ2_S", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4")


def any_bytes(name: str, blocks: int = 300, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (blocks, block_type(name).size_bytes), np.uint8)


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", *LAYOUTS, *OTHERS])
def test_any_bytes_are_read_as_gguf_reads_them(name):
    raw = any_bytes(name)
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(raw, gguf.GGMLQuantizationType[name])
    found = dequantize(raw, name, (3, 100 * block_type(name).elements))
    assert found.dtype == np.float32 and found.shape == (3, 100 * block_type(name).elements)
    assert np.array_equal(found.reshape(expected.shape), expected, equal_nan=True)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_what_is_unpacked_packs_to_the_same_bytes(name):
    layout, raw = LAYOUTS[name], any_bytes(name)
    blocks = layout.unpack(raw)
    assert np.array_equal(layout.pack(blocks), raw)
    assert blocks.codes.max() == len(layout.levels) - 1, "all codes occur"
    if layout.scales is not None:
        assert (blocks.scales.min(), blocks.scales.max()) == layout.scales
    assert layout.size_bytes == block_type(name).size_bytes and layout.elements == block_type(name).elements


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_bit_in_another_place_is_seen(name):
    raw = any_bytes(name, blocks=64, seed=2)
    seen = dequantize(raw, name, (raw.size // block_type(name).size_bytes * block_type(name).elements,))
    for byte in range(raw.shape[1]):
        other = raw.copy()
        other[:, byte] ^= 0x04
        assert not np.array_equal(dequantize(other, name, seen.shape), seen, equal_nan=True), byte


def test_bytes_that_are_not_those_of_the_shape():
    with pytest.raises(ModelError, match=r"Q8_0 of shape \(1, 64\) takes 68 bytes, and 34 of uint8"):
        dequantize(any_bytes("Q8_0", 1), "Q8_0", (1, 64))
    with pytest.raises(ModelError, match="rows of 48 elements cannot be stored as Q4_0, which takes multiples of 32"):
        dequantize(any_bytes("Q4_0", 1), "Q4_0", (1, 48))
    with pytest.raises(ModelError, match="'Q9_K' is no block type"):
        tensor_bytes("Q9_K", (1, 256))
    with pytest.raises(ModelError, match="I32 holds whole numbers"):
        dequantize(np.zeros(16, np.uint8), "I32", (4,))
    with pytest.raises(ModelError, match="nothing here reads weights of the type Q8_K"):
        dequantize(any_bytes("Q8_K"), "Q8_K", (300 * 256,))


def test_types_by_shape():
    assert {block.number for block in block_types().values()} == set(block_types())
    assert applicable((192, 576)) == ("F32", "BF16", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "IQ4_NL")
    assert set(applicable((576, 1536))) - set(applicable((192, 576))) == {
        "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS",
    }  # fmt: skip
    assert applicable((4, 80)) == ("F32", "BF16", "F16")
    assert applicable(()) == ()
    bits = [block_type(name).bits for name in applicable((1, 256))]
    assert bits == sorted(bits, reverse=True)
    assert tensor_bytes("Q8_0", (49152, 576)) == 30_081_024
