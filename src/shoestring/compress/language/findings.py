"""One pass over calibration text: the cost of every tensor in every type, and the matrices to round it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError
from shoestring.compress.language.family import EMBEDDING, Family
from shoestring.compress.language.fisher import (
    JUDGE,
    LEARN,
    Ints,
    RowSample,
    fisher_gram,
    loss_of,
    position_products,
    row_gradients,
    sample_rows,
    steadied,
)
from shoestring.compress.language.head import Drawn, draw, walk_back
from shoestring.compress.language.operators import Float, norm_back
from shoestring.compress.language.passes import Pair, Tokens, check_tokens, final, gradients, streams
from shoestring.compress.language.rounder import Rounder
from shoestring.compress.language.store import GramStore
from shoestring.domain.bits import Findings, TypeChoice

ROWS = 96
"""Rows of a matrix that are rounded in each type to tell what all would cost: their losses differ by a factor of some
ten, so that the sum over 96, drawn by what each may cost, is known to a few per cent."""
MIN_BLOCKS = 4  # two to heed and two to judge by; some sixty are of use
HEAD_ROWS = 64  # of each part of the vocabulary


@dataclass
class _Task:
    """What goes through the pass."""

    rounder: Rounder
    family: Family
    tokens: Tokens
    store: GramStore
    random: np.random.Generator
    progress: Callable[[int, int], None]
    choices: dict[str, list[TypeChoice]] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        """Tokens of the blocks that tell costs."""
        return self.tokens[JUDGE].size

    def add(self, name: str, loss: Callable[[str], float]) -> None:
        self.choices[name] = [
            TypeChoice(name, kind, self.rounder.size(name, kind), loss(kind)) for kind in self.rounder.types(name)
        ]
        self.progress(len(self.choices), len(self.family.linears()))


def find(
    rounder: Rounder,
    family: Family,
    tokens: Tokens,
    store: GramStore,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Findings:
    """Find what each tensor costs in each type.

    Args:
        rounder: the file's tensors, and the types to try.
        family: of the network.
        tokens: (blocks, positions) of calibration text.
        store: takes the Gram matrix of every tensor.
        seed: of the drawn tokens and rows.
        progress: called with (tensors done, all).

    Raises:
        DataError: the tokens are none of this vocabulary's, or too few blocks.
    """
    tokens = check_tokens(family, tokens)
    if len(tokens) < MIN_BLOCKS:
        raise DataError(
            f"{len(tokens)} blocks of text are too few to tell what rounding costs, at least {MIN_BLOCKS} are needed",
            hint="give more texts",
        )
    task = _Task(rounder, family, tokens, store, np.random.default_rng(seed), progress)
    kept = [h for _, h, _ in streams(rounder.read, family, tokens)]
    last = kept.pop()
    x, inverse = final(rounder.read, family, last)
    head = _Head(rounder.read(family.head_name), x, draw(rounder.read(family.head_name), x, seed))
    at_x = head.walk(task.random)
    gradient = norm_back(last, rounder.read("output_norm.weight"), inverse, at_x)
    for pairs, entering in gradients(rounder.read, family, tokens, kept, gradient):
        for pair in pairs:
            _matrix(task, pair)
        gradient = entering
    _ends(task, head, gradient)
    choices = tuple(choice for name in family.linears() for choice in task.choices[name])
    return Findings(choices, len(tokens), tokens.size, seed)


def _matrix(task: _Task, pair: Pair) -> None:
    weight = task.rounder.read(pair.name)
    products = position_products(pair.g)
    task.store.put(pair.name, steadied(fisher_gram(products, pair.x), pair.x))
    gram = steadied(fisher_gram(products[LEARN], pair.x[LEARN]), pair.x[LEARN])
    power = np.square(pair.g, dtype=np.float64).sum(axis=(0, 1)) * np.square(weight, dtype=np.float64).sum(axis=1)
    sample = sample_rows(power, ROWS, task.random)
    along = row_gradients(pair.g[JUDGE], pair.x[JUDGE], sample.rows)

    def loss(kind: str) -> float:
        errors = task.rounder.error(pair.name, weight[sample.rows], kind, gram)
        return loss_of(along, errors, sample.weights, task.judged)

    task.add(pair.name, loss)


class _Head:
    """The head's own pass: its Gram matrix, and gradients at a sample of its rows."""

    def __init__(self, weight: Float, x: Float, drawn: Drawn) -> None:
        self.weight, self.x, self.drawn = weight, x, drawn
        self.products = np.zeros((x.shape[0], x.shape[1], x.shape[1]), dtype=np.float32)
        self._rows: list[Ints] = []
        self._weights: list[npt.NDArray[np.float64]] = []
        self._along: list[Float] = []

    def walk(self, random: np.random.Generator) -> Float:
        """Go over the vocabulary; gives the gradient at what the head reads."""

        def visit(start: int, g: Float) -> None:
            self.products += position_products(g)
            part = self.weight[start : start + g.shape[-1]]
            power = np.square(g, dtype=np.float64).sum(axis=(0, 1)) * np.square(part, dtype=np.float64).sum(axis=1)
            sample = sample_rows(power, HEAD_ROWS, random)
            self._rows.append(sample.rows + start)
            self._weights.append(sample.weights)
            self._along.append(row_gradients(g[JUDGE], self.x[JUDGE], sample.rows))

        return walk_back(self.weight, self.x, self.drawn, visit)

    @property
    def sample(self) -> RowSample:
        """All rows that were drawn."""
        return RowSample(np.concatenate(self._rows), np.concatenate(self._weights))

    @property
    def along(self) -> Float:
        """Gradients at these rows of the blocks that tell costs, (blocks, rows, inputs)."""
        return np.concatenate(self._along, axis=1)


def _ends(task: _Task, head: _Head, gradient: Float) -> None:
    """The head and the embedding; one tensor where they are tied, read twice and wrong by the same error."""
    learnt = fisher_gram(head.products[LEARN], head.x[LEARN])
    as_head = _AsHead(head.sample, head.along, fisher_gram(head.products, head.x), learnt)
    as_table = _looked_up(task.tokens, gradient)
    readers: dict[str, list[_AsHead | _AsTable]] = {task.family.head_name: [as_head]}
    readers.setdefault(f"{EMBEDDING}.weight", []).append(as_table)
    for name, parts in readers.items():
        weight = head.weight if name == task.family.head_name else task.rounder.read(name)
        task.store.put(name, steadied(np.asarray(sum(part.gram for part in parts), dtype=np.float32)))
        learnt = steadied(np.asarray(sum(part.learnt for part in parts), dtype=np.float32))
        task.add(name, _ends_loss(task, name, weight, parts, learnt))


def _ends_loss(
    task: _Task, name: str, weight: Float, parts: list[_AsHead | _AsTable], gram: Float
) -> Callable[[str], float]:
    def loss(kind: str) -> float:
        return sum(part.loss(task.rounder.error(name, weight[part.rows], kind, gram), task.judged) for part in parts)

    return loss


@dataclass(frozen=True)
class _AsHead:
    """A sample of rows, with the gradient of every judging block at each; Gram matrices of all blocks and of LEARN."""

    sample: RowSample
    along: Float
    gram: Float
    learnt: Float

    @property
    def rows(self) -> Ints:
        return self.sample.rows

    def loss(self, errors: Float, tokens: int) -> float:
        return loss_of(self.along, errors, self.sample.weights, tokens)


@dataclass(frozen=True)
class _AsTable:
    """Rows that judging blocks look up, and the gradient of each pair of block and row; Gram matrices as above."""

    rows: Ints
    place: Ints
    along: Float
    gram: Float
    learnt: Float

    def loss(self, errors: Float, tokens: int) -> float:
        along = np.einsum("pc,pc->p", self.along, errors[self.place]).astype(np.float64)
        return float(np.square(along).sum() / (2 * tokens))


def _looked_up(tokens: Tokens, gradient: Float) -> _AsTable:
    """The embedding as it is read: a row counts where its token stands, and a token that comes twice counts as one."""
    rows, place = np.unique(tokens, return_inverse=True)
    pairs = np.arange(len(tokens))[:, None] * len(rows) + place.reshape(tokens.shape)
    each, where = np.unique(pairs, return_inverse=True)
    along = np.zeros((len(each), gradient.shape[-1]), dtype=np.float32)
    np.add.at(along, where.reshape(-1), gradient.reshape(-1, gradient.shape[-1]))
    judging = np.isin(each // len(rows), np.arange(len(tokens))[JUDGE])
    gram = np.asarray(along.T @ along / tokens.size, dtype=np.float32)
    learnt = np.asarray(along[~judging].T @ along[~judging] / tokens[LEARN].size, dtype=np.float32)
    looked, again = np.unique(each[judging] % len(rows), return_inverse=True)
    return _AsTable(rows[looked], again, along[judging], gram, learnt)
