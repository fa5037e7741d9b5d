"""One self-contained page: no script, nothing fetched, the same bytes for the same bundle."""

from __future__ import annotations

from typing import Any

from shoestring._version import __version__
from shoestring.base.errors import BundleError
from shoestring.base.units import format_bytes
from shoestring.bundle.sizes import sizes
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Manifest
from shoestring.domain.score import is_agreement
from shoestring.report import cascades, marks, scatter, sentences
from shoestring.report.detections import detector_facts
from shoestring.report.environment import page_environment, page_style, style_hash
from shoestring.report.layers import float_layers, layer_chart
from shoestring.report.proofs import CONFIDENCE, checked_elsewhere
from shoestring.report.recount import overlaps, recount
from shoestring.report.rows import Rows, rows_of
from shoestring.report.writers import render_writer

MAX_BYTES = 2_000_000


def render(bundle_manifest: Manifest, evidence: Evidence, *, size_bytes: int | None = None) -> str:
    """The report of a bundle, as one HTML page.

    The page holds no script and refers to nothing outside itself; its own policy forbids both. It carries no date, so
    that the same bundle gives the same bytes.

    Args:
        bundle_manifest: of an opened, verified bundle.
        evidence: of the same bundle.
        size_bytes: of the bundle file; None leaves it out.

    Returns:
        The page; write it as UTF-8.

    Raises:
        MissingExtraError: jinja2 is not installed.
        BundleError: the ladder contradicts itself, or the page would be larger than MAX_BYTES.
    """
    if bundle_manifest.generation is not None:
        return render_writer(bundle_manifest, evidence, size_bytes=size_bytes, max_bytes=MAX_BYTES)
    environment = page_environment()
    style = page_style()
    rows = rows_of(bundle_manifest)
    page = environment.get_template("page.html.j2").render(
        **_facts(bundle_manifest, evidence, rows),
        **_plots(bundle_manifest, rows),
        bundle_bytes=size_bytes,
        files=sizes(bundle_manifest),
        style=style,
        style_hash=style_hash(style),
        version=__version__,
    )
    length = len(page.encode())
    if length > MAX_BYTES:
        raise BundleError(
            f"the report would take {format_bytes(length)}, more than {format_bytes(MAX_BYTES)}",
            hint="the bundle holds an unusual amount of text: look at the names and notes in its manifest",
        )
    return page


def _facts(manifest: Manifest, evidence: Evidence, rows: Rows) -> dict[str, Any]:
    """What the templates speak of."""
    certified = [
        (row, row.certificate, recount(evidence, row.name, row.certificate.metric))
        for row in rows.rungs
        if row.certificate is not None
    ]
    return {
        "manifest": manifest,
        "evidence": evidence,
        "rows": rows,
        "metric": sentences.metric_name(evidence.metric),
        "labelled": not is_agreement(evidence.metric),
        "certified": certified,
        "overlaps": overlaps(evidence),
        "detector": detector_facts(manifest, evidence),
        "chart": layer_chart(evidence, rows.chosen.candidate),
        "float_layers": float_layers(rows.chosen.candidate),
        "input_steps": sentences.preprocess_steps(manifest.pixels),
        "shows_original": scatter.shows_original(rows),
        "original_ms": scatter.original_latency_ms(rows),
        "stage_names": [stage.rung for stage in manifest.ladder.cascade.stages] if manifest.ladder.cascade else [],
        "elsewhere": checked_elsewhere(manifest.ladder, evidence),
        "elsewhere_confidence": CONFIDENCE,
        "cascade_check": cascades.cascade_check(manifest.ladder.cascade, evidence),
    }


def _plots(manifest: Manifest, rows: Rows) -> dict[str, Any]:
    from markupsafe import Markup

    name = sentences.metric_name(rows.chosen.score.metric)
    drawn = {
        f"plot_{key}": Markup(scatter.scatter(rows, manifest.budget, name, shape))
        for key, shape in (("wide", scatter.WIDE), ("narrow", scatter.NARROW))
    }
    roles = ("chosen", "rung", "reference", "original", "rejected", "below")
    return {**drawn, "key": {role: Markup(marks.legend_mark(role)) for role in roles}}
