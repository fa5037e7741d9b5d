"""What a rounding costs in nats, to second order, from gradients of the model's own log-probabilities.

Let y be drawn from the model at every position of a block of text and G the gradient of sum log p(y) at a matrix W.
For a small error D of W the divergence KL(original || rounded), summed over the block, is E[<G, D>^2] / 2: the Fisher
information is its second derivative (Martens, arXiv 1412.1193, section 9), and scores of different positions are
uncorrelated. Errors of rows that are rounded apart have no common sign, so that the square of the sum is the sum over
rows of squares, and <G_r, D_r>^2 over rows and blocks is an average over thousands of numbers where <G, D>^2 has one
for each block. Summed over rows, G'G is the one Gram matrix that a rounding of all rows should heed: X'X of GPTQ
(Frantar et al., arXiv 2210.17323), with each token counting by the gradient behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoestring.compress.language.operators import Float

Ints = npt.NDArray[np.int64]
STEADY = 0.1
"""Of the mean of a Gram matrix's diagonal, added to it. A few thousand tokens do not fill the matrix, and what rounding
gains along directions that they happen not to have, other text loses."""
LEARN, JUDGE = slice(0, None, 2), slice(1, None, 2)
"""Blocks that a rounding heeds and those that tell its cost: told by the same ones, it looks cheaper than it is."""
EVENLY = 0.1  # of the draws go to rows whatever their weight, so that no row has none


@dataclass(frozen=True)
class RowSample:
    """Rows of a matrix that stand for all.

    Args:
        rows: each once.
        weights: how many rows each stands for.
    """

    rows: Ints
    weights: npt.NDArray[np.float64]


def sample_rows(power: npt.NDArray[np.float64], count: int, random: np.random.Generator) -> RowSample:
    """Draw rows in proportion to what they may cost, with replacement (Hansen and Hurwitz 1943).

    Args:
        power: (rows,) what an error of each may cost, at least 0.
        count: of draws; with as many as there are rows, all are taken.
        random: source of chance.
    """
    rows = len(power)
    if count >= rows:
        return RowSample(np.arange(rows), np.ones(rows))
    total = power.sum()
    chance = np.full(rows, 1 / rows) if total <= 0 else EVENLY / rows + (1 - EVENLY) * power / total
    drawn, times = np.unique(random.choice(rows, count, p=chance / chance.sum()), return_counts=True)
    return RowSample(drawn, times / (count * chance[drawn]))


def row_gradients(g: Float, x: Float, rows: Ints) -> Float:
    """(blocks, rows, inputs): the gradient at some rows of a matrix, of each block apart."""
    return np.asarray(np.matmul(np.ascontiguousarray(g[:, :, rows].swapaxes(1, 2)), x), dtype=np.float32)


def position_products(g: Float) -> Float:
    """(blocks, positions, positions) products of the gradients at an output."""
    return np.asarray(np.matmul(g, g.swapaxes(1, 2)), dtype=np.float32)


def fisher_gram(products: Float, x: Float) -> Float:
    """The sum over blocks and rows of G'G = x' (g g') x, (inputs, inputs), a token.

    Args:
        products: of `position_products`.
        x: (blocks, positions, inputs).
    """
    blocks, positions, inputs = x.shape
    towards = np.matmul(products, x).reshape(-1, inputs)
    gram = x.reshape(-1, inputs).T @ towards
    return np.asarray((gram + gram.T) / (2 * blocks * positions), dtype=np.float32)


def steadied(gram: Float, x: Float | None = None) -> Float:
    """The matrix as rounding takes it: half of it that of the inputs alone, which less chance went into, then STEADY.

    Args:
        gram: of `fisher_gram`.
        x: (blocks, positions, inputs) that it was made of; None for a table, whose inputs say nothing.
    """
    out = gram.copy()
    if x is not None:
        flat = x.reshape(-1, x.shape[-1])
        plain = flat.T @ flat
        out = np.asarray((gram + plain * (np.trace(gram) / max(float(np.trace(plain)), 1e-30))) / 2, dtype=np.float32)
    out[np.diag_indices(len(out))] += np.float32(STEADY) * np.diagonal(out).mean()
    return out


def loss_of(gradients: Float, errors: Float, weights: npt.NDArray[np.float64], tokens: int) -> float:
    """Predicted KL of a token, nats.

    Args:
        gradients: of `row_gradients`.
        errors: (rows, inputs) rounded minus original.
        weights: of the rows.
        tokens: of all blocks together.
    """
    along = np.einsum("nrc,rc->nr", gradients, errors, optimize=True).astype(np.float64)
    return float(np.square(along).sum(axis=0) @ weights / (2 * tokens))
