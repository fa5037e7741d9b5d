"""Replay the golden texts: does a rung find the same words as likely here as where it was certified?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from shoestring.base import canonical
from shoestring.base.errors import GoldenError
from shoestring.base.limits import GOLDEN_INPUTS
from shoestring.bundle.refusal import refuse
from shoestring.device.golden import where
from shoestring.device.npy import read_npy
from shoestring.domain.text import GoldenTexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Rung

MAX_GOLDEN_TOKENS = 64  # of a prompt: their log-probabilities; 8 are usual
MAX_GOLDEN_CHARACTERS = 4_096  # of a prompt; 240 are usual

Array = np.ndarray[Any, np.dtype[np.float32]]


class Prompted(Protocol):
    """What knows the log-probabilities of the next token; `runtimes.llamacpp.scorer.Scorer` does."""

    def tokenize(self, texts: Sequence[str], *, add_start: bool = False) -> list[list[int]]: ...

    def score(self, tokens: Sequence[int]) -> Array: ...


def golden_texts(bundle: Bundle) -> GoldenTexts:
    """The prompts, and the tokens whose log-probabilities are known.

    Raises:
        BundleError: they are not canonical JSON of the closed schema, too many or too long, empty, or name tokens that
            the model does not have.
    """
    data = bundle.read(bundle.manifest.golden.inputs)
    found = canonical.decode(data, GoldenTexts, lambda reason: refuse(f"golden texts: {reason}"))
    generation = bundle.manifest.generation
    tokens = found.tokens
    if generation is None or tokens is None or len(tokens) != len(found.texts):
        raise refuse(f"golden texts: {len(found.texts)} prompts without as many lists of tokens")
    if not 1 <= len(found.texts) <= GOLDEN_INPUTS:
        raise refuse(f"there are {len(found.texts)} golden texts, outside 1 to {GOLDEN_INPUTS}")
    lengths = {len(one) for one in tokens}
    if len(lengths) != 1 or not 1 <= min(lengths) <= MAX_GOLDEN_TOKENS:
        raise refuse(f"golden texts: {sorted(lengths)} tokens a prompt; as many for each, 1 to {MAX_GOLDEN_TOKENS}")
    for text in found.texts:
        if not 1 <= len(text) <= MAX_GOLDEN_CHARACTERS:
            raise refuse(f"a golden text has {len(text)} characters, outside 1 to {MAX_GOLDEN_CHARACTERS}")
    for one in tokens:
        if min(one) < 0 or max(one) >= generation.transformer.vocabulary:
            raise refuse(f"golden texts: tokens {one}, outside 0 to {generation.transformer.vocabulary - 1}")
    return found


def golden_logprobs(bundle: Bundle, rung: Rung, golden: GoldenTexts) -> Array:
    """What the rung must answer: float32 (prompts, tokens). Raises BundleError when they do not fit the prompts."""
    tokens = golden.tokens or ((),)
    data = bundle.read(bundle.manifest.golden.outputs[rung.name])
    found = read_npy(data, dtype="float32", tail=(len(tokens[0]),), max_rows=GOLDEN_INPUTS, what="golden outputs")
    if len(found) != len(golden.texts):
        raise refuse(f"there are {len(golden.texts)} golden texts and {len(found)} outputs of rung {rung.name!r}")
    return found


def replay_texts(bundle: Bundle, rung: Rung, engine: Prompted, here: str) -> int:
    """Ask for every golden text and compare.

    Args:
        bundle: that the golden set is of.
        rung: whose model is loaded.
        engine: that has loaded it.
        here: name and version of the engine in use.

    Returns:
        Golden texts that were compared.

    Raises:
        GoldenError: a log-probability differs by more than the rung's tolerance, or is not a number.
        BundleError: the golden set is unsound.
    """
    golden = golden_texts(bundle)
    expected = golden_logprobs(bundle, rung, golden)
    tolerance = bundle.manifest.golden.tolerance[rung.name]
    worst, number, failures = 0.0, 0, 0
    for place, (text, ids, want) in enumerate(zip(golden.texts, golden.tokens or (), expected, strict=True), start=1):
        (tokens,) = engine.tokenize([text], add_start=True)
        if not tokens:
            raise refuse(f"golden text {place} has no tokens")
        got = np.asarray(engine.score(tokens)[-1], np.float64)[list(ids)]
        distance = float(np.abs(got - want.astype(np.float64)).max())
        # `not <=` and not `>`, so that NaN counts as a difference.
        if not distance <= tolerance:
            failures += 1
            distance = distance if distance == distance else np.inf
            if distance >= worst:
                worst, number = distance, place
    if failures:
        raise GoldenError(
            f"rung {rung.name!r} answers otherwise here on {failures} of {len(golden.texts)} golden texts; worst: text "
            f"{number} is off by {worst:.4g} nats, the tolerance is {tolerance:.4g}; "
            f"{where(bundle.manifest.ladder, rung, here)}",
            hint="use another rung, the runtime version of the certificate, or fit again on this kind of machine",
        )
    return len(golden.texts)
