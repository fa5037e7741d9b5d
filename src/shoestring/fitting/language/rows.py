"""The figures of a ladder of a model that writes, as tables and --json show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.domain.ladder import Candidate, Ladder, Rung


def writer_rows(ladder: Ladder, budget: Budget) -> list[dict[str, Any]]:
    """One row a candidate, rungs first: see `writer_row`."""
    rungs = [
        writer_row(rung.candidate, "chosen" if rung.name == ladder.chosen else "rung", proven(rung), budget)
        for rung in ladder.rungs
    ]
    return rungs + [writer_row(item.candidate, "rejected", item.reason, budget) for item in ladder.rejected]


def proven(rung: Rung) -> str:
    """What is proven of a rung, in a few words."""
    held = rung.kl_certificate
    if held is None:
        return "the original itself"
    capped = f", {held.capped} above the cap of {held.cap:.3g}" if held.capped else ""
    return f"KL at most {held.max_kl:.3g} at {100 * held.confidence:g} %, n = {held.blocks:,} blocks{capped}"


def writer_row(candidate: Candidate, status: str, reason: str, budget: Budget) -> dict[str, Any]:
    """The figures of one candidate.

    Raises:
        ValueError: it is of no model that writes.
    """
    found, tokens = candidate.divergence, candidate.cost.tokens
    if found is None or tokens is None:
        raise ValueError(f"{candidate.name} writes no text")
    timing = candidate.cost.at(budget.threads)
    rate = next(one for one in tokens.rates if one.threads == timing.threads)
    return {
        "candidate": candidate.name,
        "status": status,
        "precision": candidate.recipe.precision,
        "runtime": candidate.runtime,
        "threads": timing.threads,
        "prefill_per_s": rate.prefill_per_s,
        "decode_per_s": rate.decode_per_s,
        "decode_low": rate.decode_low,
        "decode_high": rate.decode_high,
        "speedup": 1 / timing.ratio_to_original,
        "memory_bytes": candidate.cost.peak_rss_bytes,
        "context": tokens.memory[-1][0],
        "estimate": candidate.cost.predicted,
        "size_bytes": candidate.cost.size_bytes,
        "kl": found.kl,
        "kl_low": found.kl_low,
        "kl_high": found.kl_high,
        "predicted_kl": candidate.recipe.loss,
        "agreement": found.agreement,
        "perplexity": found.perplexity,
        "original_perplexity": found.original_perplexity,
        "reason": reason,
    }
