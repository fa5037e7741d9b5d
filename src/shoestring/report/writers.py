"""The report of a model that writes: what its page speaks of, and the page itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring._version import __version__
from shoestring.base.errors import BundleError
from shoestring.base.units import format_bytes
from shoestring.bundle.divergence_rules import recheck_divergences
from shoestring.bundle.sizes import sizes
from shoestring.report import marks, writer_plot
from shoestring.report.environment import page_environment, page_style, style_hash
from shoestring.report.layers import layer_chart
from shoestring.report.recount import overlaps
from shoestring.report.words import confidence, significant

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.domain.cost import Timing, TokenRate
    from shoestring.domain.divergence import Divergence, KlCertificate
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.ladder import Candidate, Ladder
    from shoestring.domain.manifest import Manifest

SPLIT_USES = {
    "calibration": "finding what each tensor's rounding costs, and rounding",
    "selection": "comparing the candidates and choosing the rungs",
    "certification": "the certificates alone; no choice has seen these texts",
}


@dataclass(frozen=True)
class WriterRow:
    """One candidate on the page.

    Args:
        candidate: the noun.
        timing: of one token, at the thread count that it is judged at.
        rate: tokens a second at that count.
        found: its divergence on the selection split.
        role: `chosen`, `rung`, `reference` (the original itself) or `rejected`.
        certificate: of a rung; None for the original and for what was rejected.
        reason: why it was rejected; None for a rung.
    """

    candidate: Candidate
    timing: Timing
    rate: TokenRate
    found: Divergence
    role: str
    certificate: KlCertificate | None
    reason: str | None

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def about(self) -> str:
        """`~` before the figures of an estimate; nothing before what was measured."""
        return "" if self.candidate.cost.predicted is None else "~"

    @property
    def memory(self) -> tuple[tuple[int, int], ...]:
        """(tokens of context, bytes)."""
        return () if self.candidate.cost.tokens is None else self.candidate.cost.tokens.memory


def render_writer(manifest: Manifest, evidence: Evidence, *, size_bytes: int | None, max_bytes: int) -> str:
    """The page of a bundle of a model that writes; see `page.render`.

    Raises:
        MissingExtraError: jinja2 is not installed.
        BundleError: the ladder contradicts itself or its evidence, or the page would be larger than `max_bytes`.
    """
    recheck_divergences(manifest.ladder, evidence)
    rows = writer_rows(manifest)
    chosen = next(row for row in rows if row.role == "chosen")
    style = page_style()
    page = (
        page_environment()
        .get_template("writer.html.j2")
        .render(
            manifest=manifest,
            evidence=evidence,
            generation=manifest.generation,
            rows=rows,
            rungs=[row for row in rows if row.reason is None],
            rejected=[row for row in rows if row.reason is not None],
            chosen=chosen,
            certified=[row for row in rows if row.certificate is not None],
            chip=None if chosen.candidate.cost.predicted is None else chosen.candidate.cost.predicted.chip,
            budget=budget_words(manifest.budget),
            contexts=[context for context, _ in chosen.memory],
            chart=layer_chart(evidence, chosen.candidate),
            overlaps=overlaps(evidence),
            split_uses=SPLIT_USES,
            bundle_bytes=size_bytes,
            files=sizes(manifest),
            style=style,
            style_hash=style_hash(style),
            version=__version__,
            **_plots(rows, manifest.budget),
        )
    )
    length = len(page.encode())
    if length > max_bytes:
        raise BundleError(
            f"the report would take {format_bytes(length)}, more than {format_bytes(max_bytes)}",
            hint="the bundle holds an unusual amount of text: look at the names and notes in its manifest",
        )
    return page


def writer_rows(manifest: Manifest) -> list[WriterRow]:
    """Rungs from cheapest to dearest, then what was rejected.

    Raises:
        BundleError: a figure that no measurement gives.
    """
    ladder = manifest.ladder
    found = [
        _row(rung.candidate, rung.threads, _role(rung.name, rung.kl_certificate, ladder), rung.kl_certificate, None)
        for rung in ladder.rungs
    ]
    for item in ladder.rejected:
        threads = item.candidate.cost.at(manifest.budget.threads).threads
        found.append(_row(item.candidate, threads, "rejected", None, item.reason))
    return found


def _role(name: str, certificate: KlCertificate | None, ladder: Ladder) -> str:
    if name == ladder.chosen:
        return "chosen"
    return "reference" if certificate is None else "rung"


def _row(
    candidate: Candidate, threads: int, role: str, certificate: KlCertificate | None, reason: str | None
) -> WriterRow:
    tokens, found = candidate.cost.tokens, candidate.divergence
    if tokens is None or found is None:
        raise BundleError(f"{candidate.name!r} has no cost of tokens or no divergence", hint="fit it again")
    timing = candidate.cost.at(threads)
    rate = next(one for one in tokens.rates if one.threads == threads)
    if not all(value > 0 and math.isfinite(value) for value in (timing.low_ms, timing.high_ms, rate.decode_low)):
        raise BundleError(f"the cost of {candidate.name!r} holds a figure that is not above zero", hint="fit it again")
    return WriterRow(candidate, timing, rate, found, role, certificate, reason)


def budget_words(budget: Budget) -> str:
    """The limits as a sentence."""
    parts = []
    if budget.max_kl is not None:
        parts.append(f"a KL of at most {significant(budget.max_kl)} nats a token at {confidence(budget.confidence)}")
    if budget.tokens_per_s is not None:
        parts.append(f"at least {budget.tokens_per_s:g} tokens/s")
    if budget.memory_bytes is not None:
        parts.append(f"at most {format_bytes(budget.memory_bytes)} of memory")
    if budget.size_bytes is not None:
        parts.append(f"a file of at most {format_bytes(budget.size_bytes)}")
    if budget.threads is not None:
        parts.append(f"{budget.threads} thread(s)")
    return f"Asked for: {', '.join(parts)}." if parts else "No limit was asked for."


def _plots(rows: list[WriterRow], budget: Budget) -> dict[str, Any]:
    from markupsafe import Markup

    drawn: dict[str, Any] = {
        f"plot_{key}": Markup(writer_plot.divergence_plot(rows, budget, shape))
        for key, shape in (("wide", writer_plot.WIDE), ("narrow", writer_plot.NARROW))
    }
    roles = ("chosen", "rung", "reference", "rejected")
    return {**drawn, "key": {role: Markup(marks.legend_mark(role)) for role in roles}}
