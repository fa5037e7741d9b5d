"""All that a model that writes would cost on a chip, from its header."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.costmodel.language.memory import longest_context, predict_language_memory
from shoestring.costmodel.language.prefill import predict_prompt
from shoestring.costmodel.language.setting import Setting
from shoestring.costmodel.language.stored import stored
from shoestring.costmodel.language.writing import predict_writing
from shoestring.costmodel.memory import fits
from shoestring.costmodel.money import Assumptions, energy_per_example, price_per_million
from shoestring.domain.cost import Cost, Predicted, Timing, TokenCost, TokenRate
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.language_plan import ContextPlan, LanguagePlan, LanguageWish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.costmodel.accelerators.decode import DecodePoint
    from shoestring.domain.chip import Chip
    from shoestring.domain.measured import Row
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile

CONTEXTS = (512, 1024, 2048, 4096, 8192, 16_384, 32_768)
"""Rows of the table of memory, as far as the model was trained; the asked context is one more."""


def plan(
    model: Transformer,
    file: WeightsFile,
    chip: Chip,
    *,
    name: str,
    rows: Sequence[Row],
    wish: LanguageWish | None = None,
    assumed: Assumptions | None = None,
    own: Sequence[DecodePoint] = (),
) -> LanguagePlan:
    """Memory by context, rates, energy and price of a model on the processor of a chip, run by llama.cpp.

    Args:
        model: dimensions.
        file: its header; of a file that is not made yet, as `retyped` gives it.
        chip: where.
        name: of the model, for people.
        rows: published measurements, and the user's own.
        wish: context, cache, threads and prompt.
        assumed: of the price.
        own: this network measured elsewhere.

    Raises:
        UsageError: more threads than cores, or a context, cache or prompt that no plan is made for.
    """
    wish = wish or LanguageWish()
    if wish.threads is not None and chip.cores and not 1 <= wish.threads <= chip.cores:
        raise UsageError(
            f"{wish.threads} threads are outside 1..{chip.cores}, the cores of {chip.name}", hint="leave --threads out"
        )
    setting = Setting(wish.context, wish.cache)
    memory = _memory(model, file, chip, setting)
    writing = predict_writing(
        model, file, chip, cache=wish.cache, tokens=wish.context, rows=rows, threads=wish.threads, own=own
    )
    kept = stored(model, file)
    reading = predict_prompt(
        model, chip, name=kept.name, precision=kept.precision, tokens=wish.prompt, threads=wish.threads
    )
    energy = energy_per_example(chip, writing, wish.threads)
    asked = next(one for one in memory if one.context == wish.context)
    return LanguagePlan(
        model=name,
        shape=model,
        file_bytes=file.file_bytes,
        types=tuple(file.bytes_by_type.items()),
        chip=chip.name,
        title=chip.title,
        wish=wish,
        memory=memory,
        longest=None if chip.usable is None else longest_context(model, file, setting, chip.isa, chip.usable.value),
        reading=reading,
        writing=writing,
        first_token=_first_token(reading, writing, wish.prompt),
        energy=energy,
        watts=_watts(energy, writing),
        price=price_per_million(chip, writing, energy, assumed or Assumptions()),
        fits=asked.fits,
        warnings=_warnings(model, wish),
    )


def cost_of(planned: LanguagePlan, original: LanguagePlan | None = None) -> Cost | NoClaim:
    """The plan as `fit` keeps the costs of candidates.

    Args:
        planned: of the candidate.
        original: of what it is compared with on the same chip; None for itself.

    Returns:
        Costs marked as predicted; or why nothing is claimed.
    """
    against = original or planned
    for one in (planned, against):
        for figure in (one.writing, one.reading):
            if isinstance(figure, NoClaim):
                return figure
    writing, reading = planned.writing, planned.reading
    assert isinstance(writing, Estimate) and isinstance(reading, Estimate) and isinstance(against.writing, Estimate)
    threads = planned.wish.threads or 0
    ratio = against.writing.value / writing.value
    # Both are the same chip's: what is unknown of it moves both, and only what tells their formats apart is left.
    doubt = 1.0 if original is None else 1 + 0.5 * (writing.high / writing.value - 1)
    timing = Timing(
        threads, 1e3 / writing.value, 1e3 / writing.high, 1e3 / writing.low, 0, ratio, ratio / doubt, ratio * doubt
    )
    rate = TokenRate(
        threads=threads,
        prompt_tokens=planned.wish.prompt,
        prefill_per_s=reading.value,
        prefill_low=reading.low,
        prefill_high=reading.high,
        decode_per_s=writing.value,
        decode_low=writing.low,
        decode_high=writing.high,
        runs=0,
    )
    asked = next(one for one in planned.memory if one.context == planned.wish.context)
    return Cost(
        timings=(timing,),
        peak_rss_bytes=int(asked.memory.value),
        size_bytes=planned.file_bytes,
        predicted=Predicted(
            chip=planned.chip,
            ground=writing.ground,
            rests_on=(*writing.rests_on, *asked.memory.rests_on),
            widened=(*writing.widened, *asked.memory.widened),
            confidence=writing.confidence,
            memory_low_bytes=int(asked.memory.low),
            memory_high_bytes=int(asked.memory.high),
        ),
        tokens=TokenCost((rate,), tuple((one.context, int(one.memory.value)) for one in planned.memory)),
    )


def _memory(model: Transformer, file: WeightsFile, chip: Chip, setting: Setting) -> tuple[ContextPlan, ...]:
    contexts = sorted({setting.context, *(one for one in CONTEXTS if one <= model.context)})
    found = []
    for context in contexts:
        expected = predict_language_memory(model, file, replace(setting, context=context), chip.isa)
        found.append(ContextPlan(context, expected, fits(expected, chip)))
    return tuple(found)


def _first_token(reading: Estimate | NoClaim, writing: Estimate | NoClaim, prompt: int) -> Estimate | NoClaim:
    """Seconds until the first token of an answer: the prompt is read, and its last step gives that token."""
    for one in (reading, writing):
        if isinstance(one, NoClaim):
            return one
    assert isinstance(reading, Estimate)
    return replace(
        reading,
        value=prompt / reading.value,
        low=prompt / reading.high,
        high=prompt / reading.low,
        unit="s",
        protocol=f"a prompt of {prompt} tokens, nothing of it in the cache",
    )


def _watts(energy: Estimate | NoClaim, writing: Estimate | NoClaim) -> Estimate | NoClaim:
    """Of the whole board: what a token takes, times the tokens; the doubt of the rate is in neither."""
    if isinstance(energy, NoClaim):
        return energy
    assert isinstance(writing, Estimate)  # energy rests on it
    low, high = energy.low * writing.high, energy.high * writing.low
    return replace(energy, value=energy.value * writing.value / 1e3, low=low / 1e3, high=high / 1e3, unit="W")


def _warnings(model: Transformer, wish: LanguageWish) -> tuple[str, ...]:
    if wish.context <= model.context:
        return ()
    return (f"the model was trained for {model.context:,} tokens of context, and {wish.context:,} are asked for",)


__all__ = ["CONTEXTS", "cost_of", "plan"]
