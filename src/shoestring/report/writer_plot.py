"""How far each candidate is from the original against the time of a token, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoestring.report import svg
from shoestring.report.axis import Axis, linear, logarithmic
from shoestring.report.labels import Spot, labels
from shoestring.report.marks import mark
from shoestring.report.placing import Box
from shoestring.report.scatter import Shape
from shoestring.report.words import elide, significant, small

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.report.writers import WriterRow

WIDE = Shape("kl-wide", 880, 420, "plot plot-wide")
NARROW = Shape("kl-narrow", 340, 400, "plot plot-narrow")
_LONGEST_LABEL = 24
_FLOOR = 1e-5  # nats: what diverges less stands at the foot, since a logarithm has no zero


def divergence_plot(rows: Sequence[WriterRow], budget: Budget, shape: Shape) -> str:
    """Draw every candidate: milliseconds a token to the right, KL upwards on a logarithmic scale.

    Args:
        rows: what was tried, at least one.
        budget: its limits are drawn as dashed lines.
        shape: WIDE or NARROW.

    Returns:
        An svg element.
    """
    frame = Box(58, 34, shape.width - 14, shape.height - 42)
    x_axis, y_axis = _time_axis(rows, budget, frame), _kl_axis(rows, budget, frame)
    order = {"chosen": 0, "reference": 1, "rung": 2, "rejected": 3}
    important = sorted(rows, key=lambda row: order[row.role])
    rules = _rules(budget, x_axis, y_axis, frame)
    drawn = [
        *_grid(x_axis, y_axis, frame),
        *(svg.line(rule.left, rule.top, rule.right, rule.bottom, "limit") for rule in rules),
        *(line for row in rows for line in _bars(row, x_axis, y_axis)),
        # The most important last, so that no other mark hides it.
        *(_marked(row, x_axis, y_axis) for row in reversed(important)),
        *labels(
            [Spot(*_place(row, x_axis, y_axis), elide(row.name, _LONGEST_LABEL), row.role) for row in important],
            [box for row in rows for box in _strokes(row, x_axis, y_axis)] + rules,
            frame,
        ),
    ]
    described = (
        "Each candidate's KL divergence from the original against the time of one token. Horizontal bars: 10th to 90th "
        "percentile of the time. Vertical bars: the interval of the divergence. The tables on this page hold the same "
        "numbers."
    )
    name = "Divergence against time a token"
    return svg.image(shape.identifier, name, described, shape.width, shape.height, shape.css_class, drawn)


def _time_axis(rows: Sequence[WriterRow], budget: Budget, frame: Box) -> Axis:
    highs = [row.timing.high_ms for row in rows]
    wanted = _wanted_ms(budget)
    if wanted is not None and wanted < 2 * max(highs):
        highs.append(wanted)
    return linear(0.0, max(highs) * 1.08, frame.left, frame.right, wanted=round((frame.right - frame.left) / 90))


def _kl_axis(rows: Sequence[WriterRow], budget: Budget, frame: Box) -> Axis:
    values = [end for row in rows for end in (row.found.kl_low, row.found.kl_high) if end > _FLOOR]
    values += [] if budget.max_kl is None else [budget.max_kl]
    low, high = (min(values), max(values)) if values else (_FLOOR, 1.0)
    return logarithmic(max(_FLOOR, low) / 1.6, max(high, low * 2) * 1.6, frame.bottom, frame.top)


def _wanted_ms(budget: Budget) -> float | None:
    """The longest time of a token that the budget allows."""
    limits = [] if budget.tokens_per_s is None else [1000 / budget.tokens_per_s]
    limits += [] if budget.latency_ms is None else [budget.latency_ms]
    return min(limits) if limits else None


def _rules(budget: Budget, x_axis: Axis, y_axis: Axis, frame: Box) -> list[Box]:
    found, wanted = [], _wanted_ms(budget)
    if budget.max_kl is not None:
        y = y_axis.at(budget.max_kl)
        found.append(Box(frame.left, y, frame.right, y))
    if wanted is not None and wanted <= x_axis.high:
        x = x_axis.at(wanted)
        found.append(Box(x, frame.top, x, frame.bottom))
    return found


def _place(row: WriterRow, x_axis: Axis, y_axis: Axis) -> tuple[float, float]:
    return x_axis.at(row.timing.median_ms), y_axis.at(max(row.found.kl, y_axis.low))


def _grid(x_axis: Axis, y_axis: Axis, frame: Box) -> list[str]:
    drawn = []
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        drawn.append(svg.line(frame.left, y, frame.right, y, "grid"))
        drawn.append(svg.text(f"{tick:.4g}", frame.left - 8, y + 4, "tick-text", "end"))
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        drawn.append(svg.line(x, frame.bottom, x, frame.bottom + 5, "axis"))
        drawn.append(svg.text(f"{tick:.4g}", x, frame.bottom + 19, "tick-text", "middle"))
    drawn.append(svg.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    drawn.append(svg.text("↑ KL, nats a token (log scale)", 2, 14, "axis-text"))
    drawn.append(svg.text("time of a token, ms (less is better)", frame.right, frame.bottom + 37, "axis-text", "end"))
    return drawn


def _strokes(row: WriterRow, x_axis: Axis, y_axis: Axis) -> list[Box]:
    x, y = _place(row, x_axis, y_axis)
    found = [Box(x_axis.at(row.timing.low_ms), y - 1, x_axis.at(row.timing.high_ms), y + 1)]
    if row.found.kl_high > y_axis.low:
        found.append(Box(x - 4, y_axis.at(row.found.kl_high), x + 4, y_axis.at(max(row.found.kl_low, y_axis.low))))
    return found


def _bars(row: WriterRow, x_axis: Axis, y_axis: Axis) -> list[str]:
    css_class = f"error error-{row.role}"
    x, y = _place(row, x_axis, y_axis)
    drawn = [svg.line(x_axis.at(row.timing.low_ms), y, x_axis.at(row.timing.high_ms), y, css_class)]
    if row.found.kl_high > y_axis.low:
        ends = (y_axis.at(max(row.found.kl_low, y_axis.low)), y_axis.at(row.found.kl_high))
        drawn.append(svg.line(x, ends[0], x, ends[1], css_class))
        drawn += [svg.line(x - 4, end, x + 4, end, css_class) for end in ends]
    return drawn


def _marked(row: WriterRow, x_axis: Axis, y_axis: Axis) -> str:
    told = (
        f"{row.name}: KL {small(row.found.kl)}, {row.about}{significant(row.rate.decode_per_s)} tokens/s at "
        f"{row.timing.threads} thread{'' if row.timing.threads == 1 else 's'}"
    )
    return svg.element("g", {}, [svg.title(told), mark(row.role, *_place(row, x_axis, y_axis))])
