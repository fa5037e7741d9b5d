"""The main job for encoders of text: model and texts in, a proven ladder out.

import        the model is parsed in quarantine and normalised; its tokenizer is taken along
divide        the texts are split by content: calibration, selection, certification
buckets       lengths to pad to are chosen from the calibration texts
compress      every candidate is made, with a linear probe where classes are read off an embedding (calibration split)
measure       all candidates side by side on this machine, on a typical text
select        what breaks the budget or is beaten goes (selection split)
certify       in an order fixed before, on the split that no choice has seen
store         manifest, evidence, tokenizer, golden texts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shoestring.base.cache import Cache
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError, UsageError
from shoestring.chips.host import this_machine
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.budget import Budget
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.domain.model import TensorSpec
from shoestring.domain.score import AGREEMENT, NEIGHBOUR_AGREEMENT
from shoestring.domain.text import CLASSIFICATION, EMBEDDING, TextInput
from shoestring.evaluate.dataset_labels import check_label_range
from shoestring.evaluate.propose import check_diverse, check_not_chance
from shoestring.evaluate.splits import Splits, split
from shoestring.evaluate.texts import Texts, open_texts
from shoestring.fitting import tried
from shoestring.fitting.fit import THIS_MACHINE, check_arguments, check_enough, import_into
from shoestring.fitting.outcome import Fitted
from shoestring.fitting.progress import Progress, silent
from shoestring.fitting.text import assemble, settling
from shoestring.fitting.text.bench import TextBench
from shoestring.fitting.text.making import check_finite, embeddings, make
from shoestring.fitting.text.probe import LOGITS
from shoestring.fitting.text.scoring import Scorer
from shoestring.fitting.text.source import Encoder, open_encoder
from shoestring.inputs.text import TextReader, choose_buckets

HEAD, PROBE, EMBED = "head", "probe", "embedding"
WAYS = (HEAD, PROBE, EMBED)
SHORTER, LEAST_BUCKET = (2, 4, 8), 8
UNIT = 1e-3  # how far from one the length of a row may be that counts as normalised


def fit_text(
    model: Path | str,
    data: Path | str,
    *,
    way: str | None = None,
    tokenizer: Path | str | None = None,
    max_tokens: int | None = None,
    out: Path | str | None = None,
    budget: Budget | None = None,
    chip: str = THIS_MACHINE,
    labels: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    runtimes: Sequence[str] | None = None,
    cache: Path | str | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Compress an encoder of text, and prove what it costs and what it loses.

    Args:
        model: a folder of Hugging Face, or an ONNX file with its pooling inside; inputs of token ids, one output.
        data: a folder of class folders of .txt, a folder of .txt, a CSV of text,label or a .jsonl.
        way: what is certified. `head`: classes, by the model's own outputs. `probe`: classes, by a logistic regression
            on the embedding, fitted on the calibration split; the original is then the encoder with its own probe.
            `embedding`: that a text's nearest neighbour among the calibration texts stays the same. None: `head` where
            the model has class names or as many outputs as the labels have classes, `probe` where there are labels,
            else `embedding`.
        tokenizer: `tokenizer.json`; None takes the one beside the model.
        max_tokens: longer texts are cut; None takes what the model's files say.
        out: bundle to write; None writes nothing.
        budget: limits; latency is that of a typical text, its tokenizing left out.
        chip: `this-machine`; no other yet.
        labels: class names in the model's order.
        limit: take at most this many texts.
        seed: of the splits.
        runtimes: to try: `onnxruntime`, `openvino`; None tries what is there.
        cache: directory of finished steps; None for the user's own.
        progress: called as work goes on.

    Raises:
        UsageError, MissingExtraError: an argument makes no sense, or an extra is missing.
        ModelError, DataError: the model or the texts cannot be used.
        BudgetError: nothing meets the budget; `rows` holds what can be had.
        StorageError: the bundle cannot be written.
    """
    budget = budget or Budget()
    machine = this_machine()
    _check_asked(budget, chip, way)
    check_arguments(budget, out, machine.cores)
    asked = tried.check_runtimes(runtimes)
    store = Cache(None if cache is None else Path(cache))
    progress("importing the model", 0, 0)
    encoder = open_encoder(
        Path(model),
        store,
        lambda path: import_into(store, path),
        None if tokenizer is None else Path(tokenizer),
        max_tokens,
    )
    progress("reading the texts", 0, 0)
    texts = open_texts(Path(data), label_names=tuple(labels) or encoder.labels, limit=limit)
    splits = split(texts, seed=seed, what="texts")
    way = way or _way(encoder, texts)
    classes = _check_way(way, encoder, texts)
    metric = _metric(way, texts)
    check_enough(len(splits.certification), budget, metric)
    reader, said = _reader(encoder, texts, splits, way)
    bench = TextBench(encoder.model, reader, texts, splits, machine, HOME_RUNTIME, store, progress)
    made, refused = make(bench, asked, classes if way == PROBE else None)
    original = made[REFERENCE]
    check_finite(embeddings(bench, original, "selection"), encoder.model.source_name)
    if way == EMBED:
        bench = _normalised(bench, embeddings(bench, original, "calibration"))
    scorer = Scorer(bench, made, original, metric)
    costs = settling.price(bench, made, budget)
    scorer, candidates, left_out = settling.score_all(scorer, costs.costs, classes, budget)
    notes = (
        *encoder.model.notes,
        *texts.notes,
        said,
        _describe(splits, way),
        _original(scorer, classes),
        *refused,
        *(f"left out: {reason}" for reason in costs.failures.values()),
        *left_out,
    )
    ladder = settling.prove(scorer, candidates, budget)
    output = encoder.model.outputs[0]
    if way == PROBE:
        output = TensorSpec(LOGITS, "float32", (output.shape[0], classes))
    fitted = assemble.assemble(scorer, ladder, budget, output, costs.measurement, seed, encoder.tokenizer, notes)
    if out is not None:
        progress("writing the bundle", 0, 0)
        fitted.save(Path(out))
    return fitted


def _check_asked(budget: Budget, chip: str, way: str | None) -> None:
    if way is not None and way not in WAYS:
        raise UsageError(f"there is no way {way!r} to certify an encoder", hint=f"one of: {', '.join(WAYS)}")
    if chip != THIS_MACHINE:
        raise UsageError(
            f"the costs of an encoder of text are measured on {THIS_MACHINE}; they are not predicted for {chip} so far",
            hint="run fit on the board itself, or shoestring predict for a rough idea",
        )
    if budget.max_kl is not None or budget.tokens_per_s is not None:
        raise UsageError("a KL and tokens a second are limits of models that write text", hint="use --max-drop")


def _way(encoder: Encoder, texts: Texts) -> str:
    width = encoder.model.outputs[0].shape[1]
    if encoder.labels or (texts.labels is not None and width == len(texts.names)):
        return HEAD
    return EMBED if texts.labels is None else PROBE


def _check_way(way: str, encoder: Encoder, texts: Texts) -> int:
    """The number of classes; of an embedding its length. Raises UsageError, DataError."""
    width = encoder.model.outputs[0].shape[1] or 0
    if way == PROBE:
        if texts.labels is None:
            raise UsageError("a probe is fitted to labels, and the texts have none", hint="put them into class folders")
        classes = max(len(texts.names), max(texts.labels) + 1)
        if classes < 2:
            raise DataError("all texts have one label", hint="a classifier needs two classes")
        return classes
    if way == HEAD:
        if width < 2:
            raise UsageError(f"the model answers {width} value(s), which is no classifier", hint="use --way embedding")
        if texts.labels is not None:
            check_label_range(texts.labels, width)
    return width


def _metric(way: str, texts: Texts) -> str:
    if way == EMBED:
        return NEIGHBOUR_AGREEMENT
    return AGREEMENT if texts.labels is None else "top-1"


def _reader(encoder: Encoder, texts: Texts, splits: Splits, way: str) -> tuple[TextReader, str]:
    """Tokenizer and buckets, and what is to be said of the texts' lengths."""
    spec = TextInput(
        kind=EMBEDDING if way == EMBED else CLASSIFICATION,
        tokenizer=sha256_hex(encoder.tokenizer),
        ids=encoder.ids,
        mask=encoder.mask,
        types=encoder.types,
        padding=encoder.padding,
        max_tokens=encoder.max_tokens,
        buckets=(encoder.max_tokens,),
        normalized=False,
    )
    reader = TextReader(encoder.tokenizer, spec)
    tokens = reader.tokens([texts.texts[i] for i in splits.calibration])
    lengths = [len(one.ids) for one in tokens]
    fixed = encoder.ids.shape[1] is not None
    buckets = spec.buckets if fixed or encoder.mask is None else _buckets(lengths, encoder.max_tokens)
    cut = sum(one.cut for one in tokens)
    said = (
        f"texts have {min(lengths)} to {max(lengths)} tokens, median {int(np.median(lengths))}; "
        f"padded to {', '.join(map(str, buckets))}; {cut} of {len(tokens)} calibration texts are longer and are cut"
    )
    return TextReader(encoder.tokenizer, replace(spec, buckets=buckets)), said


def _buckets(lengths: Sequence[int], longest: int) -> tuple[int, ...]:
    """Those that suit the calibration texts, and halves of the longest for texts far shorter than any of these."""
    halves = {longest // part for part in SHORTER if longest // part >= LEAST_BUCKET}
    return tuple(sorted(halves | set(choose_buckets(lengths, longest))))


def _normalised(bench: TextBench, rows: object) -> TextBench:
    """The bench whose input says whether embeddings have length one."""
    off = np.abs(np.linalg.norm(np.asarray(rows, np.float64), axis=1) - 1)
    if float(off.max()) > UNIT:
        return bench
    reader = bench.reader.with_spec(replace(bench.spec, normalized=True))
    return replace(bench, reader=reader)


def _original(scorer: Scorer, classes: int) -> str:
    """How good the original itself is on the selection split; stops when its answers look like chance."""
    trace = scorer.trace(scorer.original, "selection")
    if scorer.metric == AGREEMENT:
        check_diverse([top[0] for top in trace.top])
        return "the texts have no labels: candidates are scored by agreement with the original's first class"
    if scorer.metric == NEIGHBOUR_AGREEMENT:
        return (
            f"scored by whether a text's nearest neighbour among {len(scorer.bench.splits.calibration)} calibration "
            "texts stays the original's"
        )
    counts = scorer.counts(REFERENCE, "selection")
    check_not_chance(counts.original_hits, counts.n, classes)
    return f"the original's own top-1: {100 * counts.original_hits / counts.n:.2f} % of {counts.n:,} selection texts"


def _describe(splits: Splits, way: str) -> str:
    used = "to calibrate on and to fit the probe" if way == PROBE else "to calibrate on"
    return (
        f"{len(splits.calibration):,} texts {used}, {len(splits.selection):,} to choose on, "
        f"{len(splits.certification):,} to certify on"
    )
