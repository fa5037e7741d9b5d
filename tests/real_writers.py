"""A bundle of a tiny language model whose rungs llama.cpp really runs, with the golden answers that it gives here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from shoestring.analysis.transformer import transformer_of
from shoestring.domain.text import GoldenTexts
from shoestring.importers.weights import read_weights
from shoestring.runtimes.llamacpp.scorer import Scorer
from text_bundles import PROMPTS, RUNGS, WriterParts, make_writer_parts
from tiny_gguf import WIDE, Tiny, tiny_gguf

TYPES = ("Q4_0", "Q8_0", "F32")
"""Of the rungs, cheapest first."""
TOKENS = 6


def make_real_parts(folder: Path, what: Tiny = WIDE, tolerance: float = 0.02) -> WriterParts:
    """The same tiny model in TYPES, as the rungs of `text_bundles`.

    Args:
        folder: for the files.
        what: the model.
        tolerance: of every rung, nats.
    """
    files = {
        name: tiny_gguf(folder / f"{kind}.gguf", replace(what, type=kind))
        for name, kind in zip(RUNGS, TYPES, strict=True)
    }
    rows = {name: answers(path) for name, path in files.items()}
    best = [tuple(int(one) for one in np.argsort(-row)[:TOKENS]) for row in rows[RUNGS[-1]]]
    outputs = {
        name: np.stack([row[list(ids)] for row, ids in zip(found, best, strict=True)]).astype(np.float32)
        for name, found in rows.items()
    }
    header, _ = read_weights(files[RUNGS[0]])
    return make_writer_parts(
        models={name: path.read_bytes() for name, path in files.items()},
        transformer=transformer_of(header),
        golden=GoldenTexts(PROMPTS, tuple(best)),
        golden_outputs=outputs,
        tolerance=tolerance,
        context=what.context,
    )


def answers(path: Path) -> list[np.ndarray]:
    """Log-probabilities of the next token after each of PROMPTS."""
    with Scorer(path, context=128, batch=64) as scorer:
        return [scorer.score(tokens)[-1] for tokens in scorer.tokenize(PROMPTS, add_start=True)]
