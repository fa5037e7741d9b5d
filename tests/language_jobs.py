"""One fit of a tiny language model, for tests of all that comes after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shoestring.domain.budget import Budget
from shoestring.evaluate.language.blocks import Wanted
from shoestring.fitting.language.fit import fit_language
from shoestring.fitting.outcome import Fitted
from tiny_gguf import NARROW, tiny_gguf

WANTED = Wanted(tokens=24, calibration=10, selection=12, certification=60)
MAX_KL = 0.2
WORDS = ("the", "of", "and", "in", "to", "is", "on", "that", "with", "for", "news", "market", "game", "team", "film")


@dataclass(frozen=True)
class Job:
    """What was fitted.

    Args:
        model: GGUF file.
        texts: folder.
        cache: of finished steps.
        bundle: written.
        fitted: result.
        told: what progress said, in order.
    """

    model: Path
    texts: Path
    cache: Path
    bundle: Path
    fitted: Fitted
    told: list[str]


def write_texts(folder: Path, count: int = 130, seed: int = 0) -> Path:
    """Texts of random words, each another one."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(count):
        words = " ".join(str(one) for one in random.choice(WORDS, 40))
        (folder / f"{number:03}.txt").write_text(f"Text {number}: {words}.")
    return folder


def fit_tiny(folder: Path) -> Job:
    """Fit it, with its files in `folder`."""
    model, texts = tiny_gguf(folder / "tiny.gguf", NARROW), write_texts(folder / "texts")
    told: list[str] = []

    def progress(what: str, done: int, total: int) -> None:
        if not told or told[-1] != what:
            told.append(what)

    fitted = fit_language(
        model,
        texts,
        out=folder / "tiny.shoe",
        budget=Budget(max_kl=MAX_KL, threads=1),
        context=128,
        wanted=WANTED,
        cache=folder / "cache",
        progress=progress,
    )
    return Job(model, texts, folder / "cache", folder / "tiny.shoe", fitted, told)
