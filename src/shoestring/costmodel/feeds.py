"""Inputs for a model of which nothing is known but its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.runtimes.checks import check_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.model import TensorSpec
    from shoestring.runtimes.protocol import Array

SEED = 20_240_501


def random_feeds(inputs: Sequence[TensorSpec], seed: int = SEED) -> dict[str, Array]:
    """One example for each input, the same for the same seed.

    Floats are standard normal, since zeros would let denormals and skipped work flatter the clock. 8-bit integers take
    their whole range; wider ones are 0 or 1, which is in range for token numbers, masks and segment numbers alike.

    Args:
        inputs: of a session; free dimensions become 1.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    return {spec.name: _draw(spec, generator) for spec in inputs}


def _draw(spec: TensorSpec, generator: np.random.Generator) -> Array:
    shape = tuple(1 if length is None else length for length in spec.shape)
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    if dtype.itemsize == 1 and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return generator.integers(0, 2, shape).astype(dtype)


__all__ = ["check_answers", "random_feeds"]
