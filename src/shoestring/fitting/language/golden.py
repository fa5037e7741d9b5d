"""The golden set of a model that writes: a few prompts, and how likely each rung finds the best next tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.domain.text import GoldenTexts
from shoestring.runtimes.llamacpp.scorer import Scorer

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.fitting.language.bench import Bench, Written

PROMPTS = 12  # a rung replays them in a second or two on a Pi
PROMPT_CHARACTERS = 240  # about 50 tokens
TOKENS = 8  # of each prompt, the likeliest ones: log-probabilities of unlikely tokens are mostly rounding
LEAST_TOLERANCE = 0.05  # nats; sums in another order move log-probabilities of likely tokens by some hundredths
TOLERANCE_FACTOR = 4.0
"""Times what a rung's own answers differ by between a prompt read at once and token by token: other kernels do both, as
another instruction set has other kernels. A judgement; rungs next to each other differ by much more."""

Array = np.ndarray[Any, np.dtype[np.float32]]


def golden_texts(bench: Bench, documents: Sequence[str], original: Path) -> GoldenTexts:
    """Prompts, the beginnings of selection documents, with the original's likeliest next tokens.

    Args:
        bench: engine and threads.
        documents: texts of the selection split.
        original: its file.
    """
    texts = tuple(prompt_of(document) for document in documents[:PROMPTS])
    longest = max(len(text.encode()) for text in texts) + 8
    with Scorer(original, threads=bench.threads, context=longest, batch=64) as scorer:
        rows = [answer(scorer, text) for text in texts]
    tokens = tuple(tuple(int(one) for one in np.argsort(-row, kind="stable")[:TOKENS]) for row in rows)
    return GoldenTexts(texts, tokens)


def prompt_of(document: str) -> str:
    """The beginning of a document, cut between words, without white space at its ends."""
    text = document.strip()
    if len(text) <= PROMPT_CHARACTERS:
        return text
    cut = text[:PROMPT_CHARACTERS]
    return cut.rsplit(None, 1)[0].rstrip() if len(cut.split()) > 1 else cut


def answers(bench: Bench, written: Written, golden: GoldenTexts) -> tuple[Array, float]:
    """Log-probabilities (prompts, tokens) of a rung, and the tolerance that they are held to elsewhere."""
    longest = max(len(text.encode()) for text in golden.texts) + 8
    found = []
    for batch, threads in ((64, bench.threads), (1, 1)):
        with Scorer(written.path, threads=threads, context=longest, batch=batch) as scorer:
            rows = [answer(scorer, text) for text in golden.texts]
        found.append(np.stack([row[list(ids)] for row, ids in zip(rows, golden.tokens or (), strict=True)]))
    apart = float(np.abs(found[0] - found[1]).max())
    return found[0].astype(np.float32), max(LEAST_TOLERANCE, TOLERANCE_FACTOR * apart)


def answer(scorer: Scorer, text: str) -> Array:
    """Log-probabilities of every token after a prompt."""
    (tokens,) = scorer.tokenize([text], add_start=True)
    return np.asarray(scorer.score(tokens)[-1], np.float32)


def all_answers(
    bench: Bench, written: Mapping[str, Written], golden: GoldenTexts
) -> tuple[dict[str, Array], dict[str, float]]:
    """Answers and tolerances of several rungs, by name."""
    outputs, tolerance = {}, {}
    for name, one in written.items():
        bench.progress(f"golden answers of {name}", 0, 0)
        outputs[name], tolerance[name] = answers(bench, one, golden)
    return outputs, tolerance
