"""The comparison that every rewrite is held to is not blind."""

from __future__ import annotations

import numpy as np
import pytest

from rewriting import graph
from shoestring.base.errors import EngineError, ModelError
from shoestring.legalise.same import check_same, compare, random_feeds


def scaled(factor: float, op: str = "Mul"):
    return graph([(op, ["x", "f"], ["y"], {})], {"f": np.float32(factor)}, (1, 3, 4, 4))


def test_the_same_graph_is_the_same() -> None:
    found = compare(scaled(2), scaled(2), random_feeds(scaled(2), 3))
    assert (found.identical, found.largest, found.examples, found.outputs) == (True, 0.0, 3, ("y",))
    assert found.agreeing == 3 and compare(scaled(2), scaled(-2), random_feeds(scaled(2), 3)).agreeing == 0


@pytest.mark.parametrize(("factor", "caught"), [(2.0, False), (2.00001, False), (2.001, True), (-2.0, True)])
def test_a_difference_beyond_the_limit_is_an_error(factor: float, caught: bool) -> None:
    feeds = random_feeds(scaled(2), 2)
    if not caught:
        assert check_same(scaled(2), scaled(factor), feeds).largest < 1e-4
        return
    with pytest.raises(ModelError, match="differs by"):
        check_same(scaled(2), scaled(factor), feeds)


def test_what_is_finite_in_one_only_is_a_difference() -> None:
    zero = graph([("Sub", ["x", "x"], ["z"], {}), ("Div", ["x", "z"], ["y"], {})], {}, (1, 3, 4, 4))
    with pytest.raises(ModelError, match="finite in one"):
        compare(scaled(2), zero, random_feeds(zero, 1))
    with pytest.raises(EngineError, match="no finite number"):
        compare(zero, zero, random_feeds(zero, 1))


def test_another_shape_or_name_is_a_difference() -> None:
    flat = graph([("Flatten", ["x"], ["y"], {})], {}, (1, 3, 4, 4))
    with pytest.raises(ModelError, match="has shape"):
        compare(scaled(2), flat, random_feeds(flat, 1))
    other = graph([("Relu", ["x"], ["z"], {})], {}, (1, 3, 4, 4), y=["z"])
    with pytest.raises(ModelError, match="outputs are z"):
        compare(scaled(2), other, random_feeds(flat, 1))


def test_random_inputs_are_seeded() -> None:
    first, second = (random_feeds(scaled(2), 2) for _ in "ab")
    assert all(np.array_equal(one["x"], two["x"]) for one, two in zip(first, second, strict=True))
    assert not np.array_equal(first[0]["x"], first[1]["x"])
