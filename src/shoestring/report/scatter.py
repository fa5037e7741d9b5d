"""The score against the latency, as inline SVG, in one shape for wide and one for narrow screens."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.domain.budget import Budget
from shoestring.report import svg
from shoestring.report.axis import Axis, linear, logarithmic
from shoestring.report.labels import Spot, labels
from shoestring.report.marks import RADIUS, mark
from shoestring.report.placing import Box
from shoestring.report.rows import Row, Rows
from shoestring.report.words import confidence, elide, milliseconds, percent

_LONGEST_LABEL = 24
_LOG_FROM_RATIO = 12.0


@dataclass(frozen=True)
class Shape:
    """A drawing's size in its own units; `identifier` is unique in the page."""

    identifier: str
    width: float
    height: float
    css_class: str

    @property
    def frame(self) -> Box:
        """Where the data are drawn."""
        return Box(46, 34, self.width - 14, self.height - 42)


WIDE = Shape("plot-wide", 880, 420, "plot plot-wide")
NARROW = Shape("plot-narrow", 340, 400, "plot plot-narrow")


@dataclass(frozen=True)
class Point:
    """One mark with its error bars, in the units of the drawing."""

    row: Row | None
    role: str
    label: str
    x: float
    y: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float


def scatter(rows: Rows, budget: Budget, metric: str, shape: Shape) -> str:
    """Draw every candidate: latency to the right, score upwards.

    Args:
        rows: what was tried.
        budget: its limits are drawn as dashed lines.
        metric: its name in words.
        shape: WIDE or NARROW.

    Returns:
        An svg element.
    """
    frame = shape.frame
    x_axis = _latency_axis(rows, budget, frame)
    y_axis = _score_axis(rows, budget, frame)
    points = _points(rows, x_axis, y_axis)
    rules = _rules(rows, budget, x_axis, y_axis, frame)
    drawn = [
        *_grid(x_axis, y_axis, frame, metric),
        *(svg.line(rule.left, rule.top, rule.right, rule.bottom, css_class) for rule, css_class in rules),
        *(_error_bars(point) for point in points),
        # The most important last, so that no other mark hides it.
        *(_marked(point) for point in reversed(points)),
        *_labels(points, [rule for rule, _ in rules], frame),
    ]
    level = confidence(rows.chosen.score.confidence)
    described = (
        f"Each candidate's {metric} against its latency. Horizontal bars: 10th to 90th percentile of the latency. "
        f"Vertical bars: {level} interval. The tables on this page hold the same numbers."
    )
    name = f"{metric} against latency"
    return svg.image(shape.identifier, name, described, shape.width, shape.height, shape.css_class, drawn)


def original_latency_ms(rows: Rows) -> float:
    """The original's latency beside the chosen rung: that rung's median divided by its ratio to the original."""
    return rows.chosen.timing.median_ms / rows.chosen.timing.ratio_to_original


def shows_original(rows: Rows) -> bool:
    """Whether the original needs a mark of its own: not where a reference rung runs at the same speed."""
    return rows.reference is None or abs(rows.reference.timing.ratio_to_original - 1) > 0.05


def _latency_axis(rows: Rows, budget: Budget, frame: Box) -> Axis:
    lows = [row.timing.low_ms for row in rows.all] + [original_latency_ms(rows)]
    highs = [row.timing.high_ms for row in rows.all] + [original_latency_ms(rows)]
    if budget.latency_ms is not None and budget.latency_ms < 2 * max(highs):
        highs.append(budget.latency_ms)
    low, high = min(lows), max(highs)
    if low > 0 and high / low > _LOG_FROM_RATIO:
        return logarithmic(low / 1.2, high * 1.2, frame.left, frame.right)
    return linear(0.0, high * 1.06, frame.left, frame.right, wanted=round((frame.right - frame.left) / 90))


def _score_axis(rows: Rows, budget: Budget, frame: Box) -> Axis:
    """Wide enough for every rung; a candidate far below is marked at the foot, or the rungs would lie on one line."""
    values = [end for row in rows.rungs for end in (row.value_low, row.value_high)] + [rows.chosen.score.original]
    if budget.max_drop is not None:
        values.append(max(0.0, rows.chosen.score.original - budget.max_drop))
    low, high = min(values), max(values)
    span = max(high - low, 0.01)
    near = [row.value_low for row in rows.rejected if row.score.value >= low - 1.5 * span]
    low = max(0.0, min([low, *near]) - 0.12 * span)
    high = min(1.0, high + 0.12 * span)
    # Ticks are round in percent; a little room keeps a mark at 100 % off the frame.
    axis = linear(100 * low, 100 * high + 4 * (high - low), frame.bottom, frame.top, wanted=6)
    return Axis(axis.low, axis.high, axis.start, axis.end, tuple(tick for tick in axis.ticks if tick <= 100))


def _points(rows: Rows, x_axis: Axis, y_axis: Axis) -> list[Point]:
    """The most important first: its label has the first choice of a place."""
    order = {"chosen": 0, "reference": 1, "rung": 2, "rejected": 3}
    points = [_point(row, x_axis, y_axis) for row in sorted(rows.all, key=lambda row: order[row.role])]
    if shows_original(rows):
        x, y = x_axis.at(original_latency_ms(rows)), y_axis.at(100 * rows.chosen.score.original)
        points.insert(1, Point(None, "original", "original", x, y, x, x, y, y))
    return points


def _point(row: Row, x_axis: Axis, y_axis: Axis) -> Point:
    below = 100 * row.score.value < y_axis.low
    label = elide(row.name, _LONGEST_LABEL)
    role = row.role
    if row.certificate is None and role != "rejected":
        label = f"{elide(row.name, _LONGEST_LABEL - 11)} (original)" if row.name != "original" else label
    if below:
        role, label = "below", f"{label} {percent(row.score.value)}"
    y = y_axis.start - RADIUS if below else y_axis.at(100 * row.score.value)
    return Point(
        row,
        role,
        label,
        x_axis.at(row.timing.median_ms),
        y,
        x_axis.at(row.timing.low_ms),
        x_axis.at(row.timing.high_ms),
        y if below else y_axis.at(100 * row.value_low),
        y if below else y_axis.at(100 * row.value_high),
    )


def _grid(x_axis: Axis, y_axis: Axis, frame: Box, metric: str) -> list[str]:
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
    drawn.append(svg.text(f"↑ {metric}, %", 2, 14, "axis-text"))
    scale = "log scale, " if x_axis.log else ""
    drawn.append(svg.text(f"latency, ms ({scale}less is better)", frame.right, frame.bottom + 37, "axis-text", "end"))
    return drawn


def _rules(rows: Rows, budget: Budget, x_axis: Axis, y_axis: Axis, frame: Box) -> list[tuple[Box, str]]:
    """Lines across the frame, as flat boxes with their class: the original's score and the limits of the budget."""
    original = rows.chosen.score.original
    y = y_axis.at(100 * original)
    found = [(Box(frame.left, y, frame.right, y), "original-line")]
    if budget.max_drop is not None:
        y = y_axis.at(100 * (original - budget.max_drop))
        found.append((Box(frame.left, y, frame.right, y), "limit"))
    if budget.latency_ms is not None and budget.latency_ms <= x_axis.high:
        x = x_axis.at(budget.latency_ms)
        found.append((Box(x, frame.top, x, frame.bottom), "limit"))
    return found


def _error_bars(point: Point) -> str:
    css_class = f"error error-{point.role}"
    drawn = ""
    if point.x_high > point.x_low:
        drawn += svg.line(point.x_low, point.y, point.x_high, point.y, css_class)
    if point.y_low > point.y_high:
        drawn += svg.line(point.x, point.y_low, point.x, point.y_high, css_class)
        for end in (point.y_low, point.y_high):
            drawn += svg.line(point.x - 4, end, point.x + 4, end, css_class)
    return drawn


def _marked(point: Point) -> str:
    told = point.label
    if point.row is not None:
        row = point.row
        told = (
            f"{row.name}: {percent(row.score.value)}, {row.about}{milliseconds(row.timing.median_ms)} "
            f"at {row.timing.threads} thread{'' if row.timing.threads == 1 else 's'}"
        )
    return svg.element("g", {}, [svg.title(told), mark(point.role, point.x, point.y)])


def _labels(points: list[Point], rules: list[Box], frame: Box) -> list[str]:
    strokes = [Box(p.x_low, p.y - 1, p.x_high, p.y + 1) for p in points]
    strokes += [Box(p.x - 4, p.y_high, p.x + 4, p.y_low) for p in points]
    strokes += rules
    return labels([Spot(point.x, point.y, point.label, point.role) for point in points], strokes, frame)
