"""What fp16 cannot hold is found, on the inputs that reach it."""

from __future__ import annotations

import numpy as np
import pytest

from rewriting import graph
from shoestring.legalise.half import LIMIT, beyond_half


@pytest.mark.parametrize(("factor", "named"), [(100.0, ()), (40_000.0, ("y",))])
def test_a_value_that_gets_near_the_limit(factor: float, named: tuple[str, ...]) -> None:
    source = graph([("Mul", ["x", "f"], ["y"], {})], {"f": np.float32(factor)}, (1, 4))
    found = beyond_half(source, [{"x": np.float32([[0.5, -1.0, 0.2, 0.1]])}])
    assert tuple(words.split()[0] for words in found) == named


def test_it_is_the_input_that_decides() -> None:
    source = graph([("Mul", ["x", "x"], ["s"], {}), ("Sqrt", ["s"], ["y"], {})], {}, (1, 2))
    assert beyond_half(source, [{"x": np.float32([[1, 2]])}]) == ()
    assert beyond_half(source, [{"x": np.float32([[1, 2]])}, {"x": np.float32([[1, 300]])}]) == ("s reaches 9e+04",)


def test_a_constant_beyond_the_limit() -> None:
    source = graph([("Add", ["x", "f"], ["y"], {})], {"f": np.float32(2 * LIMIT)}, (1, 2))
    assert beyond_half(source, [{"x": np.float32([[1, 2]])}])[0].startswith("constant f reaches")
