"""Whether the chosen rung writes faster when something cheap writes ahead: measured on the user's own text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import DataError
from shoestring.domain.text import DRAFT, NGRAM
from shoestring.fitting.language.golden import prompt_of
from shoestring.runtimes.llamacpp.speculation import Gain, chosen, faster_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shoestring.domain.ladder import Ladder, Rung
    from shoestring.fitting.language.bench import Bench, Written

PROMPTS, WRITTEN_TOKENS, ROUNDS = 8, 48, 2
"""Some 800 tokens for each of three ways: half a minute for a small model here, more for one that writes slowly."""
KIND = "ngram-simple"  # the one that a device runs as `ngram`


def speculation(
    bench: Bench, ladder: Ladder, made: Mapping[str, Written], documents: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Ways of the chosen rung that are surely faster, as `domain.text.Generation` has them, and notes for the user.

    The draft is the smallest other rung, where it has at most half the bytes: a dearer one cannot win.

    Args:
        bench: model and engine; this machine is the one that is asked.
        ladder: certified.
        made: files by candidate name.
        documents: texts of the selection split; their beginnings are the prompts.

    Raises:
        EngineFaultError: the engine broke.
    """
    rung = ladder.rung(ladder.chosen)
    draft = _draft(ladder, rung)
    prompts = [prompt_of(document) for document in documents[:PROMPTS]]
    question = {
        "model": rung.candidate.artefact_sha256,
        "draft": None if draft is None else draft.candidate.artefact_sha256,
        "prompts": prompts,
        "numbers": [WRITTEN_TOKENS, ROUNDS, rung.threads, bench.context],
        "engine": bench.engine,
        "machine": bench.machine,
    }
    other = None if draft is None else made[draft.name].path
    try:
        gains = bench.cache.noun(
            "speculation",
            question,
            tuple[Gain, ...],
            lambda: _measure(bench, made[rung.name].path, rung, other, prompts),
        )
    except DataError as error:  # too few prompts that the model has anything to say to
        return {}, (f"writing ahead was not tried: {error.message}",)
    best = chosen(gains)
    notes = tuple(_words(gain, used=gain == best) for gain in gains)
    if best is None:
        return {}, notes
    way = NGRAM if best.kind == KIND or draft is None else DRAFT + draft.name
    return {rung.name: way}, notes


def _draft(ladder: Ladder, rung: Rung) -> Rung | None:
    others = [one for one in ladder.rungs if one.name != rung.name]
    smallest = min(others, key=lambda one: one.candidate.cost.size_bytes, default=None)
    if smallest is None or 2 * smallest.candidate.cost.size_bytes > rung.candidate.cost.size_bytes:
        return None
    return smallest


def _measure(bench: Bench, model: Path, rung: Rung, draft: Path | None, prompts: Sequence[str]) -> tuple[Gain, ...]:
    bench.progress("trying to write ahead", 0, 0)
    return faster_with(
        model,
        prompts,
        (KIND,),
        draft=draft,
        context=bench.context,
        threads=rung.threads,
        written_tokens=WRITTEN_TOKENS,
        rounds=ROUNDS,
        seed=bench.seed,
    )


def _words(gain: Gain, *, used: bool) -> str:
    verdict = "used" if used else "not used"
    return (
        f"writing ahead by {gain.kind}: {gain.ratio:.2f} times as fast ({gain.low:.2f} to {gain.high:.2f}), "
        f"{gain.unchanged} of {gain.prompts} answers unchanged: {verdict}"
    )
