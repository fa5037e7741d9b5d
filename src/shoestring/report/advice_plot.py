"""Price to buy against the rate that a board keeps up, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.domain.forecast import Advice, BoardAdvice
from shoestring.report import svg
from shoestring.report.axis import Axis, logarithmic
from shoestring.report.labels import Spot, labels
from shoestring.report.marks import mark
from shoestring.report.placing import Box
from shoestring.report.scatter import Shape
from shoestring.report.words import elide, significant

WIDE = Shape("advice-wide", 880, 470, "plot plot-wide")
NARROW = Shape("advice-narrow", 340, 430, "plot plot-narrow")
ROLES = {"yes": "rung", "maybe": "reference", "no": "rejected"}
"""Verdict -> the mark that stands for it."""

_LONGEST_LABEL = 22


@dataclass(frozen=True)
class _Point:
    board: BoardAdvice
    role: str
    label: str
    x: float
    y: float
    y_low: float
    y_high: float


def plottable(advice: Advice) -> tuple[BoardAdvice, ...]:
    """Boards with a price and a rate."""
    return tuple(board for board in advice.boards if board.price_usd is not None and board.rate is not None)


def price_plot(advice: Advice, shape: Shape) -> str:
    """Every board with a price and a rate: price to the right, sustained rate upwards, both on logarithmic scales.

    Args:
        advice: at least one board of it must be plottable.
        shape: WIDE or NARROW.
    """
    frame = shape.frame
    x_axis, y_axis = _axes(advice, frame)
    points = _points(advice, x_axis, y_axis)
    rules = _rules(advice, x_axis, y_axis, frame)
    drawn = [
        *_grid(x_axis, y_axis, frame),
        *(svg.line(rule.left, rule.top, rule.right, rule.bottom, "limit") for rule in rules),
        *(_error_bar(point) for point in points),
        *(_marked(point) for point in reversed(points)),
        *_labels(points, rules, frame),
    ]
    told = (
        "Each board's price against the rate that it keeps up. Vertical bars: 90 % interval. Dashed lines: what was "
        "asked for. The table on this page holds the same numbers."
    )
    return svg.image(shape.identifier, "rate against price", told, shape.width, shape.height, shape.css_class, drawn)


def _axes(advice: Advice, frame: Box) -> tuple[Axis, Axis]:
    boards = plottable(advice)
    prices = [board.price_usd for board in boards if board.price_usd is not None]
    rates = [advice.job.fps]
    for board in boards:
        assert board.rate is not None
        rates += [board.rate.low, board.rate.high]
    if advice.job.max_price_usd is not None:
        prices.append(advice.job.max_price_usd)
    x_axis = logarithmic(min(prices) / 1.3, max(prices) * 1.3, frame.left, frame.right)
    return x_axis, logarithmic(min(rates) / 1.3, max(rates) * 1.3, frame.bottom, frame.top)


def _points(advice: Advice, x_axis: Axis, y_axis: Axis) -> list[_Point]:
    points = []
    for board in plottable(advice):
        assert board.rate is not None and board.price_usd is not None
        rate = board.rate
        first = board is advice.boards[0] and board.verdict == "yes"
        points.append(
            _Point(
                board,
                "chosen" if first else ROLES[board.verdict],
                elide(board.chip, _LONGEST_LABEL),
                x_axis.at(board.price_usd),
                y_axis.at(rate.value),
                y_axis.at(rate.low),
                y_axis.at(rate.high),
            )
        )
    return points


def _rules(advice: Advice, x_axis: Axis, y_axis: Axis, frame: Box) -> list[Box]:
    y = y_axis.at(advice.job.fps)
    found = [Box(frame.left, y, frame.right, y)]
    if advice.job.max_price_usd is not None:
        x = x_axis.at(advice.job.max_price_usd)
        found.append(Box(x, frame.top, x, frame.bottom))
    return found


def _grid(x_axis: Axis, y_axis: Axis, frame: Box) -> list[str]:
    drawn = []
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        drawn.append(svg.line(frame.left, y, frame.right, y, "grid"))
        drawn.append(svg.text(_short(tick), frame.left - 8, y + 4, "tick-text", "end"))
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        drawn.append(svg.line(x, frame.bottom, x, frame.bottom + 5, "axis"))
        drawn.append(svg.text(f"{tick:g}", x, frame.bottom + 19, "tick-text", "middle"))
    drawn.append(svg.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    drawn.append(svg.text("↑ examples a second, kept up (log scale)", 2, 14, "axis-text"))
    drawn.append(svg.text("price to buy, USD (log scale)", frame.right, frame.bottom + 37, "axis-text", "end"))
    return drawn


def _short(tick: float) -> str:
    """20000 -> '20 k': the margin holds five characters."""
    return f"{tick / 1e6:g} M" if tick >= 1e6 else f"{tick / 1e3:g} k" if tick >= 1e4 else f"{tick:g}"


def _error_bar(point: _Point) -> str:
    css_class = f"error error-{point.role}"
    drawn = svg.line(point.x, point.y_low, point.x, point.y_high, css_class)
    for end in (point.y_low, point.y_high):
        drawn += svg.line(point.x - 4, end, point.x + 4, end, css_class)
    return drawn


def _marked(point: _Point) -> str:
    board = point.board
    assert board.rate is not None and board.price_usd is not None
    rate = board.rate
    told = (
        f"{board.title}: {significant(board.price_usd)} USD, {significant(rate.value)} a second "
        f"({significant(rate.low)} to {significant(rate.high)})"
    )
    return svg.element("g", {}, [svg.title(told), mark(point.role, point.x, point.y)])


def _labels(points: list[_Point], rules: list[Box], frame: Box) -> list[str]:
    strokes = [Box(p.x - 4, p.y_high, p.x + 4, p.y_low) for p in points] + rules
    return labels([Spot(point.x, point.y, point.label, point.role) for point in points], strokes, frame)
