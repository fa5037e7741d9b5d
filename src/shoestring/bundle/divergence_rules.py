"""What the scores, certificates and costs of a model that writes text must keep, and how they are counted again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shoestring.bundle.refusal import check_fraction, refuse

if TYPE_CHECKING:
    from shoestring.domain.cost import Cost, TokenCost
    from shoestring.domain.divergence import BlockTrace, Divergence, KlCertificate
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.ladder import Candidate, Ladder

ORIGINAL, CERTIFICATION = "original", "certification"
EXACT = 1e-9  # relative: sums of the same floats in the same order


def check_writer(candidate: Candidate) -> None:
    """Hold a candidate that writes text against its rules. Raises BundleError."""
    where = f"candidate {candidate.name!r}"
    if candidate.scores or candidate.divergence is None:
        raise refuse(f"{where} writes text: it has a divergence and no scores")
    _check_divergence(where, candidate.divergence)
    if candidate.cost.tokens is None:
        raise refuse(f"{where} writes text, and no cost of tokens is given")
    _check_tokens(where, candidate.cost, candidate.cost.tokens)


def _check_divergence(where: str, found: Divergence) -> None:
    if not 1 <= found.blocks <= found.tokens:
        raise refuse(f"{where}: {found.blocks} blocks of {found.tokens} tokens")
    if not 0 <= found.kl_low <= found.kl <= found.kl_high:
        raise refuse(f"{where}: a KL of {found.kl} between {found.kl_low} and {found.kl_high}")
    if not 0 <= found.agreement_low <= found.agreement <= found.agreement_high <= 1:
        raise refuse(f"{where}: agreement {found.agreement} between {found.agreement_low} and {found.agreement_high}")
    if min(found.perplexity, found.original_perplexity) < 1 or not 0 < found.ratio_low <= found.ratio_high:
        raise refuse(f"{where}: perplexity {found.perplexity} against {found.original_perplexity}")
    check_fraction(where, "confidence", found.confidence)


def _check_tokens(where: str, cost: Cost, tokens: TokenCost) -> None:
    if [rate.threads for rate in tokens.rates] != [timing.threads for timing in cost.timings]:
        raise refuse(f"{where}: its rates and its timings are not at the same threads")
    for rate in tokens.rates:
        sound = (
            0 < rate.prefill_low <= rate.prefill_per_s <= rate.prefill_high
            and 0 < rate.decode_low <= rate.decode_per_s <= rate.decode_high
            and rate.prompt_tokens >= 1
            and rate.runs >= (0 if cost.predicted is not None else 1)
        )
        if not sound:
            raise refuse(f"{where}: {rate.prefill_per_s} and {rate.decode_per_s} tokens/s over {rate.runs} runs")
    contexts = [context for context, _ in tokens.memory]
    if (
        not contexts
        or contexts[0] < 1
        or sorted(set(contexts)) != contexts
        or min(size for _, size in tokens.memory) < 0
    ):
        raise refuse(f"{where}: memory at {contexts} tokens of context; they must rise")


def check_kl_certificate(candidate: Candidate, certificate: KlCertificate) -> None:
    """Hold a certificate of divergence against its rules. Raises BundleError."""
    where = f"certificate of {candidate.name!r}"
    for name in ("confidence", "p_value"):
        check_fraction(where, name, getattr(certificate, name))
    if not 0 <= certificate.mean <= certificate.max_kl <= certificate.cap or certificate.cap == 0:
        raise refuse(
            f"{where}: a mean of {certificate.mean} under {certificate.max_kl} under a cap of {certificate.cap}"
        )
    if not 1 <= certificate.blocks <= certificate.tokens or not 0 <= certificate.capped <= certificate.blocks:
        raise refuse(
            f"{where}: {certificate.blocks} blocks of {certificate.tokens} tokens, {certificate.capped} capped"
        )
    if certificate.artefact_sha256 != candidate.artefact_sha256:
        raise refuse(f"{where} speaks of model {certificate.artefact_sha256!r}, not of this rung's")
    engine = (certificate.runtime, certificate.runtime_version)
    if engine != (candidate.runtime, candidate.runtime_version):
        raise refuse(f"{where} was checked on {' '.join(engine)}, not on {candidate.runtime}'s version of this rung")


def check_blocks(evidence: Evidence) -> None:
    """Hold the blocks of evidence against its splits. Raises BundleError."""
    seen = set()
    for trace in evidence.blocks or ():
        where = f"evidence: blocks of {trace.candidate!r} on {trace.split!r}"
        if (trace.candidate, trace.split) in seen:
            raise refuse(f"{where} are there twice")
        seen.add((trace.candidate, trace.split))
        counts = [len(split.images) for split in evidence.splits if split.name == trace.split]
        lengths = {len(trace.tokens), len(trace.kl), len(trace.same), len(trace.loss)}
        if len(lengths) != 1 or not counts or not 1 <= len(trace.kl) <= counts[0]:
            raise refuse(f"{where}: {sorted(lengths)} values for {counts} documents")
        for tokens, kl, same, loss in zip(trace.tokens, trace.kl, trace.same, trace.loss, strict=True):
            if tokens < 1 or not 0 <= same <= tokens or kl < 0 or loss < 0:
                raise refuse(f"{where}: {tokens} tokens, {same} the same, KL {kl}, loss {loss}")


def recheck_divergences(ladder: Ladder, evidence: Evidence) -> None:
    """Take KL, agreement, perplexity and the means of certificates again from the evidence.

    Intervals and p-values need the workshop's libraries, as those of other certificates do.

    Raises:
        BundleError: a figure differs, or the blocks it rests on are not in the evidence.
    """
    rungs = [rung.candidate for rung in ladder.rungs]
    for candidate in (*rungs, *(item.candidate for item in ladder.rejected)):
        found = candidate.divergence
        if found is None:
            raise refuse(f"candidate {candidate.name!r} has no divergence")
        trace, original = _trace(evidence, candidate.name, found.split), _trace(evidence, ORIGINAL, found.split)
        if trace.tokens != original.tokens[: len(trace.tokens)]:
            raise refuse(f"evidence: {candidate.name!r} and {ORIGINAL!r} scored other tokens on {found.split!r}")
        total = sum(trace.tokens)
        original = _first(original, len(trace.tokens))
        again = {
            "KL": (found.kl, _mean(trace.tokens, trace.kl)),
            "agreement": (found.agreement, sum(trace.same) / total),
            "perplexity": (found.perplexity, math.exp(_mean(trace.tokens, trace.loss))),
            "original perplexity": (found.original_perplexity, math.exp(_mean(original.tokens, original.loss))),
        }
        if (found.blocks, found.tokens) != (len(trace.tokens), total):
            raise refuse(f"{candidate.name!r} claims {found.blocks} blocks, the evidence has {len(trace.tokens)}")
        _same(candidate.name, again)
    for rung in ladder.rungs:
        if rung.kl_certificate is not None:
            _recheck_certificate(rung.name, rung.kl_certificate, _trace(evidence, rung.name, CERTIFICATION))


def _recheck_certificate(name: str, held: KlCertificate, trace: BlockTrace) -> None:
    capped = [min(kl, held.cap) for kl in trace.kl]
    counts = (len(capped), sum(trace.tokens), sum(kl > held.cap for kl in trace.kl))
    if counts != (held.blocks, held.tokens, held.capped):
        raise refuse(f"the certificate of {name!r} speaks of {held.blocks} blocks, the evidence has {counts[0]}")
    _same(name, {"certified mean": (held.mean, math.fsum(capped) / len(capped))})


def _first(trace: BlockTrace, count: int) -> BlockTrace:
    cut = type(trace)
    parts = (trace.tokens[:count], trace.kl[:count], trace.same[:count], trace.loss[:count])
    return cut(trace.candidate, trace.split, *parts)


def _mean(tokens: tuple[int, ...], values: tuple[float, ...]) -> float:
    return math.fsum(count * value for count, value in zip(tokens, values, strict=True)) / sum(tokens)


def _same(name: str, figures: dict[str, tuple[float, float]]) -> None:
    for what, (claimed, counted) in figures.items():
        if not math.isclose(claimed, counted, rel_tol=EXACT, abs_tol=EXACT):
            raise refuse(f"{what} of {name!r} is {claimed}, the evidence gives {counted}")


def _trace(evidence: Evidence, candidate: str, split: str) -> BlockTrace:
    for trace in evidence.blocks or ():
        if (trace.candidate, trace.split) == (candidate, split):
            return trace
    raise refuse(f"evidence: the blocks of {candidate!r} on {split!r} are not there")
