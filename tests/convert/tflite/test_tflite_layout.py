"""Orders of axes in memory, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoestring.convert.tflite.layout import (
    IMAGE,
    in_order,
    laid,
    plain,
    reshaped,
    same_memory,
    steps,
    turned,
    with_last,
)


@st.composite
def laid_out(draw):
    """A shape and an order of its axes."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)))
    return shape, tuple(draw(st.permutations(range(len(shape)))))


@st.composite
def two_shapes(draw):
    """Two shapes of as many elements: factors grouped in two ways, with axes of one element strewn in."""
    factors = draw(st.lists(st.sampled_from([2, 2, 3]), min_size=1, max_size=5))

    def grouped():
        sides, left = [], list(factors)
        while left:
            count = draw(st.integers(1, len(left)))
            sides.append(int(np.prod(left[:count])))
            left = left[count:]
        for _ in range(draw(st.integers(0, 2))):
            sides.insert(draw(st.integers(0, len(sides))), 1)
        return tuple(sides)

    return grouped(), grouped()


def filled(shape):
    return np.arange(int(np.prod(shape))).reshape(shape)


@given(laid_out(), st.data())
def test_steps_take_one_order_to_another(case, data):
    shape, have = case
    want = tuple(data.draw(st.permutations(range(len(shape)))))
    x = filled(shape)
    np.testing.assert_array_equal(x.transpose(have).transpose(steps(have, want)), x.transpose(want))
    assert laid(shape, want) == x.transpose(want).shape
    same = np.array_equal(x.transpose(have).reshape(-1), x.transpose(want).reshape(-1))
    assert same or not same_memory(shape, have, want)
    if len({side for side in shape if side > 1}) == len([side for side in shape if side > 1]):
        assert same == same_memory(shape, have, want)


@given(laid_out(), st.data())
def test_a_transpose_is_another_name_for_the_same_memory(case, data):
    shape, layout = case
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    x = filled(shape)
    np.testing.assert_array_equal(x.transpose(axes).transpose(turned(layout, axes)), x.transpose(layout))


@settings(max_examples=300)
@given(two_shapes(), st.data())
def test_a_reshape_stays_in_memory_only_where_numpy_agrees(shapes, data):
    before, after = shapes
    layout = tuple(data.draw(st.permutations(range(len(before)))))
    x = filled(before)
    found = reshaped(before, after, layout)
    if found is not None:
        assert sorted(found) == list(range(len(after)))
        np.testing.assert_array_equal(x.reshape(after).transpose(found).reshape(-1), x.transpose(layout).reshape(-1))
    if layout == plain(len(before)):
        assert found == plain(len(after))


@pytest.mark.parametrize(
    ("before", "after", "layout", "expected"),
    [
        ((1, 8, 5, 6), (1, 2, 4, 5, 6), IMAGE, (0, 3, 4, 1, 2)),  # channels into groups: no element moves
        ((1, 8, 1, 1), (1, 8), IMAGE, (0, 1)),  # the head of a classifier
        ((1, 8, 5, 6), (1, 240), IMAGE, None),  # rows before channels: elements move
        ((1, 8, 5, 6), (1, 8, 30), IMAGE, (0, 2, 1)),  # rows and columns joined
    ],
)
def test_what_networks_do(before, after, layout, expected):
    assert reshaped(before, after, layout) == expected


def test_small_helpers():
    assert with_last(IMAGE, 1) == IMAGE
    assert with_last((0, 1, 2), 1) == (0, 2, 1)
    assert in_order(np.ones((8, 1, 1)), IMAGE).shape == (1, 1, 1, 8)
