"""Sound bundles of models that write text, for tests: synthetic evidence, from which every figure is counted.

Files of the rungs are real ones where the test gives some (see tiny_gguf.py); else bytes that stand for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factory import npy_bytes
from factory_evidence import make_hash, make_machine
from shoestring.base import canonical
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing, TokenCost, TokenRate
from shoestring.domain.divergence import BlockTrace, Divergence, KlCertificate
from shoestring.domain.evidence import Evidence, Sensitivity, Split
from shoestring.domain.ladder import Candidate, Ladder, Rejected, Rung, candidate_name
from shoestring.domain.manifest import FORMAT, Blob, Golden, Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.recipe import Recipe, Step
from shoestring.domain.text import Generation, GoldenTexts
from shoestring.domain.transformer import Transformer

RUNTIME = "llamacpp"
RUNTIME_VERSION = "2026.10"
MAX_KL = 0.2
CAP = 4.0
REFERENCE = "given"
PROMPTS = ("The news of today is", "A dog and a cat", "Once upon a time")


@dataclass(frozen=True)
class Written:
    """How one synthetic candidate behaves.

    Args:
        kl: mean of its blocks, nats.
        ratio: of its time a token to the original's.
        rejected: why it is not on the ladder, or None.
    """

    recipe: str
    kl: float
    ratio: float
    size_bytes: int
    rejected: str | None = None

    @property
    def name(self) -> str:
        return candidate_name(Recipe(self.recipe, "mixed", (), "", None), RUNTIME)


WRITTEN = (
    Written("mix-62MB", 0.08, 0.55, 62_000_000),
    Written("mix-86MB", 0.02, 0.80, 86_000_000),
    Written(REFERENCE, 0.0, 1.0, 98_000_000),
    Written("mix-40MB", 0.9, 0.45, 40_000_000, "a KL of 0.9 on the selection split, more than 0.2"),
)
RUNGS = tuple(one.name for one in WRITTEN if one.rejected is None)


@dataclass(frozen=True)
class WriterParts:
    """What `pack` takes, and what it was made of.

    Args:
        blobs: every file by its hash.
        models: bytes of each rung's file.
        golden: prompts, and the tokens whose log-probabilities are known.
        golden_outputs: float32 (prompts, tokens) of each rung.
    """

    manifest: Manifest
    blobs: dict[str, bytes]
    evidence: Evidence
    models: dict[str, bytes]
    golden: GoldenTexts
    golden_outputs: dict[str, np.ndarray]


def make_transformer() -> Transformer:
    """As tiny as the models of tiny_gguf.py."""
    return Transformer("llama", 2, 64, 4, 2, 16, 16, 192, 300, 512, True, 100_000)


def make_blocks(seed: int, split: str, count: int) -> tuple[BlockTrace, ...]:
    """The original's trace on one split, then that of every candidate that was scored there."""
    rng = np.random.default_rng([seed, count])
    tokens = tuple(int(one) for one in rng.integers(40, 65, count))
    loss = rng.gamma(9, 0.35, count)
    found = [BlockTrace("original", split, tokens, (0.0,) * count, tokens, tuple(map(float, loss)))]
    for one in WRITTEN:
        if split == "certification" and (one.rejected is not None or one.recipe == REFERENCE):
            continue
        kl = one.kl * rng.gamma(4, 0.25, count)
        moved = loss + kl * rng.normal(1, 0.3, count).clip(0)
        chance = np.exp(-2 * np.sqrt(kl))
        same = tuple(int(rng.binomial(total, part)) for total, part in zip(tokens, chance, strict=True))
        found.append(BlockTrace(one.name, split, tokens, tuple(map(float, kl)), same, tuple(map(float, moved))))
    return tuple(found)


def make_writer_evidence(
    seed: int = 0, *, calibration: int = 8, selection: int = 20, certification: int = 60
) -> Evidence:
    """Three splits of texts, and the blocks of every candidate.

    Args:
        calibration: texts in that split; likewise `selection` and `certification`.
    """
    counts = {"calibration": calibration, "selection": selection, "certification": certification}
    splits = tuple(
        Split(name, tuple(sorted(make_hash(f"{seed} {name} {i}") for i in range(count))), None)
        for name, count in counts.items()
    )
    return Evidence(
        metric="kl",
        splits=splits,
        traces=(),
        sensitivity=(
            Sensitivity("blk.0.ffn_down.weight", "Q4_0", 0.011, 21.0),
            Sensitivity("blk.1.attn_v.weight", "Q4_0", 0.004, 22.5),
        ),
        machine=make_machine(),
        versions={"numpy": "2.3.0", "xllamacpp": RUNTIME_VERSION, "python": "3.11.9", "shoestring": "0.1.0"},
        measurement="candidates interleaved over 5 rounds, prompts of 128 tokens, 32 tokens written",
        seed=seed,
        blocks=(*make_blocks(seed, "selection", selection), *make_blocks(seed, "certification", certification)),
    )


def trace_of(evidence: Evidence, candidate: str, split: str) -> BlockTrace:
    """One trace of the evidence."""
    return next(one for one in evidence.blocks or () if (one.candidate, one.split) == (candidate, split))


def make_divergence(evidence: Evidence, candidate: str, split: str = "selection") -> Divergence:
    """Counted from the blocks; only the shape of the intervals matters to the tests that read it."""
    trace, original = trace_of(evidence, candidate, split), trace_of(evidence, "original", split)
    total = sum(trace.tokens)

    def mean(values: Sequence[float]) -> float:
        return math.fsum(count * value for count, value in zip(trace.tokens, values, strict=True)) / total

    kl, agreement = mean(trace.kl), sum(trace.same) / total
    perplexity, before = math.exp(mean(trace.loss)), math.exp(mean(original.loss))
    ratio = perplexity / before
    return Divergence(
        split=split,
        blocks=len(trace.tokens),
        tokens=total,
        kl=kl,
        kl_low=0.9 * kl,
        kl_high=1.1 * kl,
        agreement=agreement,
        agreement_low=0.98 * agreement,
        agreement_high=min(1.0, 1.02 * agreement),
        perplexity=perplexity,
        original_perplexity=before,
        ratio_low=0.98 * ratio,
        ratio_high=1.02 * ratio,
        confidence=0.95,
    )


def make_writer_cost(ratio: float, size_bytes: int) -> Cost:
    """Of a model that writes 20 tokens a second on one thread, times 1 / `ratio`."""
    timings, rates = [], []
    for threads, base_ms in ((1, 50.0), (2, 30.0)):
        median = round(base_ms * ratio, 4)
        timings.append(Timing(threads, median, 0.95 * median, 1.08 * median, 5, ratio, 0.97 * ratio, 1.04 * ratio))
        decode = 1000 / median
        prefill = 6 * decode
        rates.append(
            TokenRate(threads, 128, prefill, 0.9 * prefill, 1.1 * prefill, decode, 0.92 * decode, 1.05 * decode, 5)
        )
    memory = tuple((context, 60_000_000 + size_bytes + 12_000 * context) for context in (128, 256, 512))
    return Cost(
        tuple(timings), peak_rss_bytes=memory[-1][1], size_bytes=size_bytes, tokens=TokenCost(tuple(rates), memory)
    )


def make_writer_candidate(evidence: Evidence, one: Written, artefact: tuple[str, int] | None = None) -> Candidate:
    """The candidate that behaves as `one`; `artefact` is hash and size of its file."""
    sha256, size_bytes = artefact or (make_hash(one.name), one.size_bytes)
    steps = () if one.recipe == REFERENCE else (Step("mix", {"Q4_0": 100, "Q8_0": 12}),)
    why = "the file as it was given" if one.recipe == REFERENCE else "bits where the text needs them"
    return Candidate(
        recipe=Recipe(one.recipe, "as-given" if one.recipe == REFERENCE else "mixed", steps, why),
        runtime=RUNTIME,
        runtime_version=RUNTIME_VERSION,
        artefact_sha256=sha256,
        cost=make_writer_cost(one.ratio, size_bytes),
        scores=(),
        notes=(),
        divergence=make_divergence(evidence, one.name),
    )


def make_kl_certificate(evidence: Evidence, candidate: Candidate, max_kl: float = MAX_KL) -> KlCertificate:
    """From the blocks of the certification split; its p-value only looks like one."""
    trace = trace_of(evidence, candidate.name, "certification")
    capped = [min(kl, CAP) for kl in trace.kl]
    return KlCertificate(
        max_kl=max_kl,
        cap=CAP,
        confidence=0.95,
        method="a betting test of the capped mean, fixed sequence over the ladder",
        blocks=len(capped),
        tokens=sum(trace.tokens),
        mean=math.fsum(capped) / len(capped),
        capped=sum(kl > CAP for kl in trace.kl),
        p_value=0.01,
        artefact_sha256=candidate.artefact_sha256,
        runtime=candidate.runtime,
        runtime_version=candidate.runtime_version,
        isa=evidence.machine.isa,
    )


def make_writer_ladder(evidence: Evidence, artefacts: Mapping[str, tuple[str, int]] | None = None) -> Ladder:
    """Three rungs, cheapest first, the last the reference without a certificate, and one rejected candidate."""
    rungs, rejected = [], []
    for one in WRITTEN:
        candidate = make_writer_candidate(evidence, one, (artefacts or {}).get(one.name))
        if one.rejected is not None:
            rejected.append(Rejected(candidate, one.rejected))
            continue
        certificate = None if one.recipe == REFERENCE else make_kl_certificate(evidence, candidate)
        rungs.append(Rung(candidate, 2, None, certificate))
    return Ladder(tuple(rungs), tuple(rejected), RUNGS[0])


def make_writer_parts(
    seed: int = 0,
    *,
    models: Mapping[str, bytes] | None = None,
    transformer: Transformer | None = None,
    golden: GoldenTexts | None = None,
    golden_outputs: Mapping[str, np.ndarray] | None = None,
    tolerance: float = 0.05,
    context: int = 512,
) -> WriterParts:
    """Everything for a small bundle of a model that writes.

    Args:
        models: file of each of RUNGS; None: bytes that no runtime loads.
        transformer: that the files hold; None: the tiny one.
        golden: prompts and tokens; None: PROMPTS with two tokens each.
        golden_outputs: of each rung, float32 (prompts, tokens); None: some numbers below zero.
        tolerance: of every rung.
        context: tokens.
    """
    rng = np.random.default_rng(seed)
    files = dict(models or {name: b"GGUF" + rng.bytes(2_000) for name in RUNGS})
    evidence = make_writer_evidence(seed)
    prompts = golden or GoldenTexts(PROMPTS, tuple((5 + i, 9 + i) for i in range(len(PROMPTS))))
    width = len((prompts.tokens or ((),))[0])
    outputs = dict(
        golden_outputs or {name: -rng.gamma(4, 1, (len(prompts.texts), width)).astype(np.float32) for name in RUNGS}
    )
    artefacts = {name: (canonical.sha256_hex(data), len(data)) for name, data in files.items()}
    contents = [
        canonical.encode(evidence),
        canonical.encode(prompts),
        *files.values(),
        *map(npy_bytes, outputs.values()),
    ]
    blobs = {canonical.sha256_hex(data): data for data in contents}
    net = transformer or make_transformer()
    ladder = make_writer_ladder(evidence, artefacts)
    manifest = Manifest(
        format=FORMAT,
        name="tiny-writer",
        created_by="shoestring 0.1.0",
        source_sha256=make_hash("source"),
        input=TensorSpec("tokens", "int32", (1, None)),
        output=TensorSpec("log-probabilities", "float32", (None, net.vocabulary)),
        preprocess=None,
        labels=(),
        budget=Budget(max_kl=MAX_KL, tokens_per_s=10.0, memory_bytes=1_500_000_000),
        ladder=ladder,
        golden=Golden(
            inputs=canonical.sha256_hex(canonical.encode(prompts)),
            outputs={name: canonical.sha256_hex(npy_bytes(value)) for name, value in outputs.items()},
            tolerance=dict.fromkeys(outputs, tolerance),
        ),
        evidence=canonical.sha256_hex(canonical.encode(evidence)),
        blobs=tuple(Blob(sha256, len(blobs[sha256])) for sha256 in sorted(blobs)),
        generation=Generation(
            transformer=net,
            context=context,
            cache_type="f16",
            chat=True,
            prefill_threads={rung.name: 2 for rung in ladder.rungs},
            speculation={RUNGS[1]: "ngram"},
        ),
    )
    return WriterParts(manifest, blobs, evidence, files, prompts, outputs)


def with_evidence(parts: WriterParts, evidence: Evidence) -> WriterParts:
    """The same bundle with other evidence, its hash mended."""
    data = canonical.encode(evidence)
    new = canonical.sha256_hex(data)
    blobs = {name: content for name, content in parts.blobs.items() if name != parts.manifest.evidence} | {new: data}
    listed = tuple(Blob(name, len(blobs[name])) for name in sorted(blobs))
    return replace(parts, manifest=replace(parts.manifest, evidence=new, blobs=listed), blobs=blobs, evidence=evidence)
