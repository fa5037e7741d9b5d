"""Tiny language models as our own numpy computation sees them: weights, tokens, and answers by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shoestring.compress.language.family import Family, family_of
from shoestring.compress.language.head import draw, walk_back
from shoestring.compress.language.layer import Reader
from shoestring.compress.language.operators import norm_back
from shoestring.compress.language.passes import final, gradients, streams
from shoestring.domain.weights import WeightsFile
from shoestring.importers.gguf.header import read_header
from tiny_gguf import Tiny, tiny_gguf, tiny_weights


def made(folder: Path, what: Tiny) -> tuple[Path, WeightsFile, Family]:
    """A file of such a model, its header and what is read from it."""
    path = tiny_gguf(folder / "tiny.gguf", what)
    header = read_header(path)
    return path, header, family_of(header)


def reader(what: Tiny) -> Reader:
    """Its weights by name."""
    weights = {name: weight.astype(np.float32) for name, weight in tiny_weights(what).items()}
    return weights.__getitem__


def text(family: Family, blocks: int, positions: int, seed: int = 0) -> np.ndarray:
    """Random tokens."""
    return np.random.default_rng(seed).integers(0, family.vocabulary, (blocks, positions))


def log_probabilities(read: Reader, family: Family, tokens: np.ndarray) -> np.ndarray:
    """(blocks, positions, vocabulary), float64."""
    *_, (_, last, _) = streams(read, family, tokens)
    logits = (final(read, family, last)[0] @ read(family.head_name).T).astype(np.float64)
    highest = logits.max(axis=-1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))


def divergence(read: Reader, other: Reader, family: Family, tokens: np.ndarray) -> float:
    """Mean KL of a token, nats."""
    one, two = (log_probabilities(each, family, tokens) for each in (read, other))
    return float((np.exp(one) * (one - two)).sum(axis=-1).mean())


def drawn_gradients(read: Reader, family: Family, tokens: np.ndarray, seed: int) -> tuple[np.ndarray, dict, np.ndarray]:
    """Drawn tokens; x and g of every matrix of the layers by name; the gradient at the embedding's output."""
    kept = [h for _, h, _ in streams(read, family, tokens)]
    last = kept.pop()
    x, inverse = final(read, family, last)
    head = read(family.head_name)
    drawn = draw(head, x, seed)
    gradient = norm_back(last, read("output_norm.weight"), inverse, walk_back(head, x, drawn, lambda start, g: None))
    pairs = {}
    for found, entering in gradients(read, family, tokens, kept, gradient):
        pairs.update({pair.name: pair for pair in found})
        gradient = entering
    return drawn.tokens, pairs, gradient
