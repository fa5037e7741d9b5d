"""One self-contained page: no script, nothing fetched, the same bytes for the same bundle."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from shoestring._version import __version__
from shoestring.base.errors import BundleError, MissingExtraError
from shoestring.base.units import format_bytes
from shoestring.bundle.sizes import sizes
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Manifest
from shoestring.report import cascades, marks, scatter, sentences, words
from shoestring.report.layers import float_layers, layer_chart
from shoestring.report.recount import overlaps, recount
from shoestring.report.rows import Rows, rows_of

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

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
    environment = _environment()
    style = _style()
    rows = rows_of(bundle_manifest)
    page = environment.get_template("page.html.j2").render(
        **_facts(bundle_manifest, evidence, rows),
        **_plots(bundle_manifest, rows),
        bundle_bytes=size_bytes,
        files=sizes(bundle_manifest),
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
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
        "labelled": evidence.metric != "agreement",
        "certified": certified,
        "overlaps": overlaps(evidence),
        "chart": layer_chart(evidence, rows.chosen.candidate),
        "float_layers": float_layers(rows.chosen.candidate),
        "input_steps": sentences.preprocess_steps(manifest.preprocess),
        "shows_original": scatter.shows_original(rows),
        "original_ms": scatter.original_latency_ms(rows),
        "stage_names": [stage.rung for stage in manifest.ladder.cascade.stages] if manifest.ladder.cascade else [],
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


def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "fit") from None
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("shoestring.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: words.tidy(value) if type(value) is str else value,
    )
    environment.filters.update(
        bytes=format_bytes,
        confidence=words.confidence,
        counted=words.counted,
        elide=words.elide,
        listed=words.listed,
        margin=words.margin,
        ms=words.milliseconds,
        number=words.count,
        percent=words.percent,
        points=words.points,
        power=words.power_of_ten,
        significant=words.significant,
        small=words.small,
        times=words.times,
    )
    environment.globals.update(
        bar=lambda *args, **options: Markup(marks.bar(*args, **options)),
        cascade_words=cascades.cascade_words,
        stage_rows=cascades.stage_rows,
        sureness_name=cascades.sureness_name,
        threshold_words=cascades.threshold_words,
        budget_words=sentences.budget_words,
        headline=sentences.headline,
        metric_name=sentences.metric_name,
        split_uses=sentences.SPLIT_USES,
        statement=sentences.statement,
        tally=sentences.tally,
    )
    return environment


def _style() -> Markup:
    """The style sheet, marked as safe: it is ours and holds no data."""
    from markupsafe import Markup

    return Markup(files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8"))
