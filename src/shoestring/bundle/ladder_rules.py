"""What rungs, costs, scores and certificates must keep so that the rest may rely on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shoestring.bundle.divergence_rules import check_kl_certificate, check_writer
from shoestring.bundle.refusal import check_fraction, refuse
from shoestring.domain.estimate import GROUNDS
from shoestring.domain.score import METRICS

if TYPE_CHECKING:
    from shoestring.domain.cost import Cost, Predicted
    from shoestring.domain.ladder import Candidate, Ladder, Rung
    from shoestring.domain.score import Certificate, Paired, Score

MAX_THREADS = 4096  # more than any machine we know has cores


def check_ladder(ladder: Ladder, *, writes: bool = False) -> None:
    """Hold a ladder against its rules.

    Args:
        ladder: of a manifest.
        writes: whether its model writes text: then it has divergences instead of scores, and counts tokens.

    Raises:
        BundleError: the first rule that is broken.
    """
    names: set[str] = set()
    offered = [one.rung for one in ladder.offered or ()]
    rungs = [rung.candidate for rung in (*ladder.rungs, *offered)]
    for candidate in rungs + [item.candidate for item in ladder.rejected]:
        name = candidate.name
        if not name or not name.isprintable():
            raise refuse(f"the candidate name {name!r} is empty or cannot be printed")
        if name in names:
            raise refuse(f"two candidates are called {name!r}")
        names.add(name)
        _check_candidate(candidate, writes)
    _check_offered(ladder)
    for rung in (*ladder.rungs, *offered):
        _check_rung(rung, writes)
    if ladder.chosen not in {rung.name for rung in ladder.rungs}:
        raise refuse(f"the chosen rung {ladder.chosen!r} is not on the ladder")


def _check_offered(ladder: Ladder) -> None:
    """What was not measured says so: an estimated cost, no certificate, and who answered in its place."""
    if ladder.offered is not None and not ladder.offered:
        raise refuse("rungs are offered, and there are none")
    for one in ladder.offered or ():
        if one.rung.certificate is not None:
            raise refuse(f"rung {one.name!r} is offered as not measured, and has a certificate")
        if one.rung.candidate.cost.predicted is None:
            raise refuse(f"rung {one.name!r} is offered as not measured, and has a measured cost")
        for what, text in (("stand-in", one.stand_in), ("reason", one.why)):
            if not text or not text.isprintable():
                raise refuse(f"the {what} of offered rung {one.name!r} is empty or cannot be printed")


def check_paired(where: str, paired: Paired) -> None:
    """Counts that can be counted: not negative, not above n, and wins and losses explain the difference.

    Args:
        where: for the message.
        paired: counts.

    Raises:
        BundleError: they cannot come from n pairs of outcomes.
    """
    n, before, after, wins, losses = (
        paired.n,
        paired.original_hits,
        paired.variant_hits,
        paired.wins,
        paired.losses,
    )
    sound = n >= 1 and 0 <= losses <= before <= n and 0 <= wins <= n - before and after - before == wins - losses
    if not sound:
        raise refuse(f"{where}: no {n} pairs give hits {before} and {after} with {wins} wins and {losses} losses")


def _check_rung(rung: Rung, writes: bool) -> None:
    if rung.threads not in [timing.threads for timing in rung.candidate.cost.timings]:
        raise refuse(f"rung {rung.name!r} is meant for {rung.threads} threads, at which nothing was measured")
    if writes and rung.certificate is not None:
        raise refuse(f"rung {rung.name!r} writes text, and has a certificate of {rung.certificate.metric}")
    if not writes and rung.kl_certificate is not None:
        raise refuse(f"rung {rung.name!r} writes no text, and has a certificate of its divergence")
    if rung.certificate is not None:
        _check_certificate(rung.candidate, rung.certificate)
    if rung.kl_certificate is not None:
        check_kl_certificate(rung.candidate, rung.kl_certificate)


def _check_candidate(candidate: Candidate, writes: bool) -> None:
    _check_cost(f"cost of {candidate.name!r}", candidate.cost)
    if writes:
        check_writer(candidate)
        return
    if not candidate.scores:
        raise refuse(f"candidate {candidate.name!r} has no score")
    if candidate.divergence is not None or candidate.cost.tokens is not None:
        raise refuse(f"candidate {candidate.name!r} writes no text, and has a divergence or a cost of tokens")
    for score in candidate.scores:
        _check_score(f"{score.metric} score of {candidate.name!r}", score)


def _check_cost(where: str, cost: Cost) -> None:
    if cost.peak_rss_bytes < 0 or cost.size_bytes < 0:
        raise refuse(f"{where}: {cost.peak_rss_bytes} bytes of memory and {cost.size_bytes} stored")
    threads = [timing.threads for timing in cost.timings]
    if not threads or min(threads) < 1 or max(threads) > MAX_THREADS or len(set(threads)) != len(threads):
        raise refuse(f"{where}: timings at {threads} threads; they must be distinct and in 1 to {MAX_THREADS}")
    fewest = 1
    if cost.predicted is not None:
        _check_predicted(where, cost, cost.predicted)
        fewest = 0
    for timing in cost.timings:
        if (
            not 0 <= timing.low_ms <= timing.median_ms <= timing.high_ms
            or timing.median_ms == 0
            or timing.runs < fewest
        ):
            raise refuse(
                f"{where}: {timing.median_ms} ms between {timing.low_ms} and {timing.high_ms} over {timing.runs} runs"
            )
        ratios = (timing.ratio_to_original, timing.ratio_low, timing.ratio_high)
        if min(ratios) <= 0:
            raise refuse(f"{where}: ratios to the original of {ratios}, not above zero")


def _check_predicted(where: str, cost: Cost, predicted: Predicted) -> None:
    """An estimate says so everywhere: it has intervals, a known ground, and no runs."""
    if not predicted.chip or not predicted.chip.isprintable():
        raise refuse(f"{where}: the chip's name {predicted.chip!r} is empty or cannot be printed")
    if predicted.ground not in GROUNDS:
        raise refuse(f"{where}: the ground {predicted.ground!r} is not one of {', '.join(GROUNDS)}")
    if not 0 < predicted.confidence < 1:
        raise refuse(f"{where}: an interval of confidence {predicted.confidence}, outside 0 to 1")
    if not 0 <= predicted.memory_low_bytes <= cost.peak_rss_bytes <= predicted.memory_high_bytes:
        raise refuse(
            f"{where}: {cost.peak_rss_bytes} bytes of memory between {predicted.memory_low_bytes} and "
            f"{predicted.memory_high_bytes}"
        )
    runs = [timing.runs for timing in cost.timings if timing.runs != 0]
    if runs:
        raise refuse(f"{where}: an estimate claims {runs[0]} timed runs")


def _check_score(where: str, score: Score) -> None:
    _check_metric(where, score.metric)
    check_paired(where, score.paired)
    for value, hits in ((score.value, score.paired.variant_hits), (score.original, score.paired.original_hits)):
        if not math.isclose(value, hits / score.paired.n, rel_tol=0, abs_tol=1e-9):
            raise refuse(f"{where} is {value}, but {hits} of {score.paired.n} are hits")
    if not -1 <= score.drop_low <= score.drop_high <= 1:
        raise refuse(f"{where}: drop from {score.drop_low} to {score.drop_high}, outside -1 to 1")
    check_fraction(where, "confidence", score.confidence)


def _check_certificate(candidate: Candidate, certificate: Certificate) -> None:
    where = f"certificate of {candidate.name!r}"
    _check_metric(where, certificate.metric)
    check_paired(where, certificate.paired)
    for name in ("max_drop", "confidence", "p_value"):
        check_fraction(where, name, getattr(certificate, name))
    if certificate.artefact_sha256 != candidate.artefact_sha256:
        raise refuse(f"{where} speaks of model {certificate.artefact_sha256!r}, not of this rung's")
    engine = (certificate.runtime, certificate.runtime_version)
    if engine != (candidate.runtime, candidate.runtime_version):
        raise refuse(f"{where} was checked on {' '.join(engine)}, not on {candidate.runtime}'s version of this rung")


def _check_metric(where: str, metric: str) -> None:
    if metric not in METRICS:
        raise refuse(f"{where}: the metric {metric!r} is not one of {', '.join(METRICS)}")
