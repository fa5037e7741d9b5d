"""The main job for a model that writes: GGUF and texts in, a proven ladder out.

import        the header is read in quarantine and held against its tensors
divide        the texts are split by content, and each gives one block of tokens
find          what each tensor's rounding costs, by the calibration blocks
make          about five mixes of block types, at sizes that follow from the budget
measure       all of them side by side on this machine, or predict for another chip
score         against the original's own weights (selection blocks)
select        what breaks the budget or is beaten goes
certify       from the least divergence to the largest, on blocks that no choice has seen
store         manifest, evidence, golden set
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.cache import Cache
from shoestring.base.errors import BudgetError, UsageError
from shoestring.base.units import format_bytes
from shoestring.chips.host import this_machine
from shoestring.compress.language.family import family_of
from shoestring.domain.budget import Budget
from shoestring.domain.ladder import Candidate, Ladder
from shoestring.evaluate.language.betting import smallest_blocks, too_few_message
from shoestring.evaluate.language.blocks import Blocks, Wanted, describe, make_blocks
from shoestring.evaluate.language.bootstrap import divergence
from shoestring.evaluate.language.certify import CAP_FACTOR
from shoestring.evaluate.language.documents import open_documents
from shoestring.evaluate.statistics import check_confidence
from shoestring.fitting.language import assemble, choosing, golden, making
from shoestring.fitting.language.bench import Bench, Written
from shoestring.fitting.language.pricing import THIS_MACHINE, Place, price
from shoestring.fitting.language.rows import writer_row
from shoestring.fitting.language.scoring import Scores
from shoestring.fitting.language.sizes import ladder_mixes
from shoestring.fitting.language.source import Source, open_source, original_file
from shoestring.fitting.language.speculating import speculation
from shoestring.fitting.outcome import Fitted
from shoestring.fitting.progress import Progress, silent
from shoestring.runtimes.llamacpp.library import PACKAGE, version
from shoestring.runtimes.llamacpp.scorer import Scorer
from shoestring.runtimes.writers import LLAMACPP

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip
    from shoestring.domain.cost import Cost
    from shoestring.domain.divergence import BlockTrace
    from shoestring.evaluate.language.certify import KlVerdict
    from shoestring.evaluate.texts import Texts

CONTEXT = 2048  # tokens served at most where nothing else is asked for: a page of prompt and a page of answer


def fit_language(
    model: Path | str,
    data: Path | str,
    *,
    out: Path | str | None = None,
    budget: Budget | None = None,
    chip: str = THIS_MACHINE,
    chip_file: Path | str | None = None,
    context: int | None = None,
    wanted: Wanted | None = None,
    seed: int = 0,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Compress a model that writes text, and prove what it costs and how far it moves from the original.

    Args:
        model: a GGUF file of any precision, or a folder of Hugging Face.
        data: a folder of texts, a CSV or .jsonl with `text`, or one .txt.
        out: bundle to write; None writes nothing (see `Fitted.save`).
        budget: limits: max_kl, tokens_per_s, memory_bytes (at `context`), size_bytes, latency_ms of a token, threads.
        chip: `this-machine`, whose costs are measured, or a chip of the catalogue, whose costs are predicted.
        chip_file: a chip file of the user's own.
        context: tokens of prompt and answer together that are served; None: CONTEXT, or what it was trained for.
        wanted: how much text is looked at; None for the usual.
        seed: of splits and drawings.
        cache: directory of finished steps; None for the user's own.
        progress: called as work goes on.

    Returns:
        The ladder with its evidence.

    Raises:
        UsageError, MissingExtraError: an argument makes no sense, or an extra is missing.
        ModelError, DataError: model or texts cannot be used.
        BudgetError: nothing meets the budget; `rows` holds what can be had.
        StorageError: the bundle cannot be written.
    """
    budget, store = budget or Budget(), Cache(Path(cache) if cache is not None else None)
    machine = this_machine()
    there = Place(chip, chip_file).find()
    check_arguments(budget, out, machine.cores if there is None else there.cores or budget.threads or 1)
    progress("reading the model's header", 0, 0)
    source = open_source(Path(model), store)
    family_of(source.header)  # refuses what cannot be computed before any long work
    progress("reading the texts", 0, 0)
    texts = open_documents(Path(data))
    blocks, of_blocks = cut_blocks(source, texts, wanted or Wanted(), seed)
    check_enough(blocks, budget)
    bench = Bench(
        source=source,
        blocks=blocks,
        cache=store,
        machine=machine,
        engine=f"{PACKAGE} {version()}",
        threads=budget.threads or machine.cores,
        context=served_context(source, context),
        seed=seed,
        progress=progress,
    )
    notes = (*source.notes, *texts.notes, *of_blocks, describe(blocks))
    fitted = _fit(bench, texts, budget, there, notes)
    if out is not None:
        progress("writing the bundle", 0, 0)
        fitted.save(Path(out))
    return fitted


def _fit(bench: Bench, texts: Texts, budget: Budget, chip: Chip | None, notes: tuple[str, ...]) -> Fitted:
    found, store = making.findings(bench)
    mixes = ladder_mixes(found.choices, budget.max_kl, room_for(bench.source, budget))
    made = {one.name: one for one in (making.given(bench), *making.make(bench, mixes, store))}
    priced = price(bench, list(made.values()), budget, chip)
    made = {name: one for name, one in made.items() if name in priced.costs}
    reference = next((name for name, one in made.items() if bench.source.is_original(one.sha256)), None)
    with Scores(bench) as scores:
        original = scores.original("selection")
        selection = scores.all_of(list(made.values()), "selection")
        candidates = [
            candidate_of(bench, one, original, selection[one.name], priced.costs[one.name]) for one in made.values()
        ]
        admitted = choosing.admit(candidates, reference, budget)
        if admitted.candidates:  # the original first, so that its answers are there for all
            before = scores.original("certification")
        tested: dict[str, BlockTrace] = {}

        def trace_of(name: str) -> BlockTrace:
            tested[name] = scores.of(made[name], "certification")
            return tested[name]

        verdicts = choosing.certify(admitted.candidates, reference, selection, trace_of, budget)
    ladder = choosing.build(admitted, reference, verdicts, tested, bench.machine.isa, budget)
    if ladder is None or only_the_original(ladder, reference, verdicts):
        raise nothing_fits(candidates, admitted, verdicts, budget)
    evidence = assemble.make_evidence(
        bench,
        [original, *selection.values(), before, *tested.values()],
        making.sensitivity(found, family_of(bench.source.header)),
        priced.measurement,
    )
    texts_of = dict(zip(texts.hashes, texts.texts, strict=True))
    documents = [texts_of[one] for one in bench.split("selection").documents]
    with original_file(bench.source, bench.cache.root) as path:
        prompts = golden.golden_texts(bench, documents, path)
    rungs = {rung.name: made[rung.name] for rung in ladder.rungs}
    outputs, tolerance = golden.all_answers(bench, rungs, prompts)
    ahead, tried = ({}, ()) if chip is not None else speculation(bench, ladder, made, documents)
    said = (*notes, *priced.notes, *tried)
    return assemble.assemble(bench, ladder, evidence, made, prompts, outputs, tolerance, budget, ahead, said)


def cut_blocks(source: Source, texts: Texts, wanted: Wanted, seed: int) -> tuple[tuple[Blocks, ...], tuple[str, ...]]:
    """Blocks of tokens by the tokenizer in the model's own file. Raises DataError, ModelError, EngineFaultError."""
    with Scorer(source.path, context=32, batch=32, expected=source.transformer) as scorer:
        (start,) = scorer.tokenize([""], add_start=True)
        return make_blocks(texts, scorer.tokenize, start, wanted, seed)


def served_context(source: Source, asked: int | None) -> int:
    """Tokens of prompt and answer together. Raises UsageError for more than the model was trained for."""
    most = source.transformer.context
    if asked is not None and not 1 <= asked <= most:
        raise UsageError(f"a context of {asked} tokens", hint=f"{source.name} was trained for 1 to {most}")
    return min(CONTEXT, most) if asked is None else asked


def check_arguments(budget: Budget, out: Path | str | None, cores: int) -> None:
    """Raises UsageError before any work is done."""
    limits = ("max_kl", "tokens_per_s", "latency_ms", "memory_bytes", "size_bytes")
    for name in limits:
        value = getattr(budget, name)
        if value is not None and not value > 0:
            raise UsageError(f"budget {name} must be above zero, got {value}", hint="None leaves it open")
    if budget.max_drop is not None:
        raise UsageError(
            "a model that writes has no accuracy that could drop", hint="bound its divergence: --max-kl 0.05"
        )
    if budget.threads is not None and not 1 <= budget.threads <= cores:
        raise UsageError(f"budget threads must be in 1..{cores}, got {budget.threads}", hint="1 is a usual choice")
    check_confidence(budget.confidence)
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise UsageError(f"the directory of {out} does not exist", hint="create it first")
    if out is not None and Path(out).is_dir():
        raise UsageError(f"{out} is a directory", hint=f"name a file, like {Path(out) / 'chat.shoe'}")


def check_enough(blocks: Sequence[Blocks], budget: Budget) -> None:
    """Raises BudgetError before long work when so many blocks certify nothing whatever the candidate."""
    if budget.max_kl is None:
        return
    n = next(len(one.runs) for one in blocks if one.split == "certification")
    fewest = smallest_blocks(budget.max_kl, CAP_FACTOR * budget.max_kl, 1 - budget.confidence)
    if n < fewest:
        raise BudgetError(
            too_few_message(n, budget.max_kl, fewest),
            hint="that is the certification split, even if no answer changed; give more texts",
        )


def room_for(source: Source, budget: Budget) -> int | None:
    """Bytes for the tensors that a mix may store anew; None where no size was named."""
    if budget.size_bytes is None and budget.memory_bytes is None:
        return None
    most = min(limit for limit in (budget.size_bytes, budget.memory_bytes) if limit is not None)
    anew = set(family_of(source.header).linears())
    rest = source.header.header_bytes + sum(
        tensor.size_bytes for tensor in source.header.tensors if tensor.name not in anew
    )
    return max(0, most - rest)


def candidate_of(bench: Bench, one: Written, original: BlockTrace, trace: BlockTrace, cost: Cost) -> Candidate:
    """A file with its scores and its cost."""
    return Candidate(
        recipe=one.recipe,
        runtime=LLAMACPP,
        runtime_version=version(),
        artefact_sha256=one.sha256,
        cost=cost,
        scores=(),
        notes=one.notes,
        divergence=divergence(original, trace, seed=bench.seed),
    )


def only_the_original(ladder: Ladder, reference: str | None, verdicts: Mapping[str, KlVerdict]) -> bool:
    """Whether compression was possible within the budget but nothing could be certified."""
    return bool(verdicts) and all(rung.name == reference for rung in ladder.rungs)


def nothing_fits(
    candidates: Sequence[Candidate],
    admitted: choosing.Admitted,
    verdicts: Mapping[str, KlVerdict],
    budget: Budget,
) -> BudgetError:
    """The error with one row a candidate and what can be had instead."""
    reasons = {item.candidate.name: item.reason for item in admitted.rejected}
    reasons |= {name: f"{choosing.NOT_CERTIFIED}: {verdict.reason}" for name, verdict in verdicts.items()}
    rows = tuple(
        writer_row(one, "rejected", reasons.get(one.name, "the original itself"), budget) for one in candidates
    )
    failed = next((verdict for verdict in verdicts.values() if not verdict.certified), None)
    if failed is not None:
        return BudgetError(
            f"no candidate can be certified: {failed.name}: {failed.reason}",
            hint="allow a larger KL, or give more texts",
            rows=rows,
        )
    least = min(choosing.kl_of(one) for one in candidates)
    fastest = max(1000 / choosing.ms_of(one, budget) for one in candidates)
    size = min(one.cost.size_bytes for one in candidates)
    memory = min(one.cost.peak_rss_bytes for one in candidates)
    return BudgetError(
        "no candidate keeps the budget",
        hint=f"to be had, each alone: a KL from {least:.3g}, up to {fastest:.3g} tokens/s, size from "
        f"{format_bytes(size)}, memory from {format_bytes(memory)}",
        rows=rows,
    )
