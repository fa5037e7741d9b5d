"""All blocks of text through all layers, forward and back, one layer in memory at a time.

Weights are read a layer at a time and only the residual streams between layers are kept, so that the memory taken is
that of one layer and (layers x tokens x width) floats, whatever the size of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError
from shoestring.compress.language.family import EMBEDDING, LAYER_LINEARS, READS, Family
from shoestring.compress.language.layer import Reader, backward, forward, layer_weights
from shoestring.compress.language.operators import Float, norm

Tokens = npt.NDArray[np.int64]
TOKENS_AT_ONCE = 2_048  # of one layer's temporary arrays: some 60 kB a token in a network of 135 million weights
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pair:
    """What one matrix reads, and the gradient at what it gives, for the same tokens.

    Args:
        name: of the matrix.
        x: (blocks, positions, inputs).
        g: (blocks, positions, outputs), of log p of the drawn tokens, each block's sum.
    """

    name: str
    x: Float
    g: Float


def check_tokens(family: Family, tokens: Tokens) -> Tokens:
    """Raises DataError unless `tokens` is (blocks, positions) of the vocabulary."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or tokens.shape[0] < 1 or tokens.shape[1] < 2 or tokens.dtype.kind not in "iu":
        raise DataError(f"tokens must be whole numbers in blocks of two or more, got {tokens.dtype} {tokens.shape}")
    if tokens.min() < 0 or tokens.max() >= family.vocabulary:
        raise DataError(f"token {int(tokens.max())} is not in a vocabulary of {family.vocabulary:,}")
    return tokens.astype(np.int64)


def parts(tokens: Tokens) -> list[slice]:
    """Blocks that go through a layer together."""
    step = max(1, TOKENS_AT_ONCE // tokens.shape[1])
    return [slice(start, start + step) for start in range(0, len(tokens), step)]


def streams(read: Reader, family: Family, tokens: Tokens) -> Iterator[tuple[int, Float, dict[str, Float]]]:
    """The residual stream after each layer, with what the layer's matrices read; layer -1 is the embedding's.

    Args:
        read: gives the weights.
        family: of the network.
        tokens: (blocks, positions).

    Yields:
        The layer; the stream (blocks, positions, width); reads by the words of family.READS.
    """
    h = read(f"{EMBEDDING}.weight")[tokens]
    yield -1, h, {}
    for layer in range(family.layers):
        weights = layer_weights(read, family, layer, tokens.shape[1])
        found = [forward(weights, family, h[part]) for part in parts(tokens)]
        h = np.concatenate([out for out, _ in found])
        yield layer, h, {key: np.concatenate([trace.reads[key] for _, trace in found]) for key in found[0][1].reads}


def final(read: Reader, family: Family, h: Float) -> tuple[Float, Float]:
    """What the head reads, and the inverse of its norm."""
    return norm(h, read("output_norm.weight"), family.epsilon)


def gradients(
    read: Reader, family: Family, tokens: Tokens, kept: list[Float], gradient: Float
) -> Iterator[tuple[list[Pair], Float]]:
    """Back through the layers, the last one first.

    Args:
        read: gives the weights.
        family: of the network.
        tokens: (blocks, positions).
        kept: the residual stream before each layer; the list is emptied from its end.
        gradient: at the last layer's output.

    Yields:
        The layer's matrices; the gradient at its input.
    """
    for layer in reversed(range(family.layers)):
        weights = layer_weights(read, family, layer, tokens.shape[1])
        h = kept.pop()
        reads: dict[str, list[Float]] = {}
        at: dict[str, list[Float]] = {}
        entering = []
        for part in parts(tokens):
            _, trace = forward(weights, family, h[part])
            back, here = backward(weights, family, trace, gradient[part])
            entering.append(back)
            for key, value in trace.reads.items():
                reads.setdefault(key, []).append(value)
            for key, value in here.items():
                at.setdefault(key, []).append(value)
        gradient = np.concatenate(entering)
        joined = {key: np.concatenate(values) for key, values in reads.items()}
        names = {role: f"blk.{layer}.{role}.weight" for role in LAYER_LINEARS}
        yield [Pair(names[role], joined[READS[role]], np.concatenate(at[role])) for role in LAYER_LINEARS], gradient
