"""One self-contained page about which board to buy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring._version import __version__
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.report import advice_plot, marks
from shoestring.report.environment import page_environment, page_style, style_hash
from shoestring.report.words import significant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.forecast import Advice, BoardAdvice, Job

_PREFIX = {"USD": "$"}
_UNIT = {"USD": "", "1/s": "", "W": " W"}


def render_advice(advice: Advice, curves: Sequence[tuple[str, str]] = ()) -> str:
    """The advice as one HTML page without script, which refers to nothing outside itself.

    Args:
        advice: ranked boards.
        curves: title and SVG markup of temperature curves, made by this room.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    environment = page_environment()
    from markupsafe import Markup

    style = page_style()
    drawn: dict[str, Any] = {"plot_wide": None, "plot_narrow": None}
    if advice_plot.plottable(advice):
        drawn = {
            "plot_wide": Markup(advice_plot.price_plot(advice, advice_plot.WIDE)),
            "plot_narrow": Markup(advice_plot.price_plot(advice, advice_plot.NARROW)),
        }
    environment.globals["figure"] = lambda shown: Markup(_figure(shown))
    return environment.get_template("advice.html.j2").render(
        advice=advice,
        headline=advice_headline(advice),
        job=job_words(advice.job),
        kept=[board for board in advice.boards if board.verdict != "no"],
        refused=[board for board in advice.boards if board.verdict == "no"],
        grounds=_grounds(advice),
        curves=[(name, Markup(drawing)) for name, drawing in curves],
        key={role: Markup(marks.legend_mark(role)) for role in ("chosen", "rung", "reference", "rejected")},
        style=style,
        style_hash=style_hash(style),
        version=__version__,
        **drawn,
    )


def advice_headline(advice: Advice) -> str:
    """The answer in a sentence or two."""
    sure = [board for board in advice.boards if board.verdict == "yes"]
    open_ = [board for board in advice.boards if board.verdict == "maybe"]
    if sure:
        best = sure[0]
        cost = "" if best.price_usd is None else f" at ${best.price_usd:g} ({best.price_date})"
        rate = "" if best.rate is None else f": it keeps up {_words(best.rate)} a second"
        return f"The cheapest board that does the job is the {best.title}{cost}{rate}."
    if open_:
        return f"No board is sure to do the job; {len(open_)} may, the cheapest of them the {open_[0].title}."
    return "No board of the catalogue does the job; the table of the refused says what each one lacks."


def job_words(job: Job) -> str:
    """What was asked for, as a sentence."""
    parts = [f"{job.fps:g} examples a second for {job.minutes:g} minutes at {job.ambient_celsius:g} °C"]
    if job.cooling is not None:
        parts.append(f"cooling: {job.cooling}")
    if job.max_price_usd is not None:
        parts.append(f"at most ${job.max_price_usd:g}")
    if job.max_watts is not None:
        parts.append(f"at most {job.max_watts:g} W")
    return f"Asked for: {', '.join(parts)}."


def _figure(shown: Estimate | NoClaim | None) -> str:
    from markupsafe import escape

    if shown is None:
        return "not known"
    if isinstance(shown, NoClaim):
        return f'<span title="{escape(shown.why)}">no claim</span>'
    prefix, unit = _PREFIX.get(shown.unit, ""), _UNIT.get(shown.unit, f" {shown.unit}")
    return (
        f"<span>{prefix}{significant(shown.value)}{escape(unit)}"
        f"<small>{significant(shown.low)}–{significant(shown.high)}</small></span>"
    )


def _words(shown: Estimate) -> str:
    return f"{significant(shown.value)} ({significant(shown.low)}–{significant(shown.high)})"


def _grounds(advice: Advice) -> list[tuple[BoardAdvice, Estimate]]:
    found = []
    for board in advice.boards:
        if board.forecast is None:
            continue
        shown = board.forecast.latency if isinstance(board.forecast.latency, Estimate) else board.forecast.rate
        if isinstance(shown, Estimate):
            found.append((board, shown))
    return found
