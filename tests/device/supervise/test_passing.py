"""Blocks between child and parent: what is packed is unpacked, and nothing else passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.device.player import Outputs
from shoestring.device.supervise.passing import HEAD_BYTES, are_finite, empty, pack, unpack

NAMES = ("cheap", "dear")


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50),
    st.integers(0, 1),
    st.floats(0, 1e4),
    st.integers(1, 3),
    st.booleans(),
)
def test_there_and_back(values, place, busy_s, stages, probabilities):
    outputs = np.array(values, np.float32)
    block = pack(Outputs(outputs, NAMES[place], stages, probabilities), place, busy_s)
    assert block.shape == empty(len(values)).shape
    reply = unpack(block.copy(), NAMES)
    np.testing.assert_array_equal(reply.outputs, outputs)
    assert (reply.rung, reply.busy_s, reply.stages) == (NAMES[place], busy_s, stages)
    assert reply.probabilities is probabilities


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8])
def test_outputs_of_other_types_become_float32(dtype):
    block = pack(Outputs(np.arange(5).astype(dtype), "cheap", 1, False), 0, 0.1)
    reply = unpack(block, NAMES)
    assert reply.outputs.dtype == np.float32 and reply.outputs.tolist() == [0, 1, 2, 3, 4]


def test_another_count_or_rung_is_refused():
    block = pack(Outputs(np.zeros(5, np.float32), "cheap", 1, False), 0, 0.1)
    longer = np.concatenate([block, np.zeros(4, np.uint8)])
    with pytest.raises(ValueError, match="5 values, not 6"):
        unpack(longer, NAMES)
    with pytest.raises(ValueError, match="rung number 7 of 2"):
        unpack(pack(Outputs(np.zeros(5, np.float32), "cheap", 1, False), 7, 0.1), NAMES)


@given(st.binary(min_size=HEAD_BYTES + 8, max_size=HEAD_BYTES + 8))
def test_anything_is_a_reply_or_refused(data):
    block = np.frombuffer(data, np.uint8)
    try:
        reply = unpack(block, NAMES)
    except ValueError:
        return
    assert reply.outputs.size == 2 and reply.rung in NAMES


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 50, 99])
def test_what_is_not_finite_is_seen_wherever_it_lies(bad, place):
    values = np.linspace(-1, 1, 100, dtype=np.float32)
    assert are_finite(values)
    values[place] = bad
    assert not are_finite(values)
