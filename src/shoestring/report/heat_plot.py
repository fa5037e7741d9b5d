"""Temperature and clock of a board over time, as inline SVG or as a file of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shoestring.base.errors import UsageError
from shoestring.report import svg
from shoestring.report.axis import Axis, linear
from shoestring.report.placing import Box
from shoestring.report.scatter import Shape
from shoestring.report.words import significant

WIDE = Shape("heat-wide", 880, 430, "plot plot-wide")
NARROW = Shape("heat-narrow", 340, 430, "plot plot-narrow")

_MOST_POINTS = 240
_CLOCK_HEIGHT = 74.0
_GAP = 34.0
_TEXT_HEIGHT = 15.0
_FILE_STYLE = """
.plot { font: 12px system-ui, sans-serif; --paper: #ffffff; --ink: #16181d; --soft: #545b66; --grid: #e6e9ed;
  --accent: #005a94; background: var(--paper); }
@media (prefers-color-scheme: dark) { .plot { --paper: #14171b; --ink: #eceef1; --soft: #a7afba; --grid: #272d34;
  --accent: #76bdf0; } }
.plot text { fill: var(--soft); }
.plot .label { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3.5px; }
.paper { fill: var(--paper); }
.grid { stroke: var(--grid); }
.axis, .original-line { stroke: var(--soft); }
.limit { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 5 4; }
.band { fill: var(--accent); fill-opacity: 0.18; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
"""
"""The page's own colours and classes, for a file that stands alone."""


@dataclass(frozen=True)
class HeatPoint:
    """One moment of a run.

    Args:
        seconds: since the load began.
        celsius: of the chip.
        low: lower end of its interval, C.
        high: upper end.
        clock: share of the full clock, 0 to 1.
    """

    seconds: float
    celsius: float
    low: float
    high: float
    clock: float


@dataclass(frozen=True)
class _Panels:
    time: Axis
    celsius: Axis
    clock: Axis
    heat: Box
    pace: Box


def heat_plot(
    points: Sequence[HeatPoint], *, ambient_celsius: float, limits: Sequence[float], shape: Shape = WIDE
) -> str:
    """Draw a run: temperature with its band above, clock below, over minutes.

    Args:
        points: at least two, by rising time.
        ambient_celsius: of the air, drawn as a line.
        limits: temperatures from which the clock falls, drawn dashed.
        shape: WIDE or NARROW.

    Returns:
        An svg element that uses the page's classes.

    Raises:
        UsageError: fewer than two points, or times that do not rise.
    """
    return _image(points, ambient_celsius, limits, shape, [])


def heat_file(points: Sequence[HeatPoint], *, ambient_celsius: float, limits: Sequence[float]) -> str:
    """The same as a whole .svg file: it carries its colours, light and dark, and refers to nothing outside itself."""
    size: dict[str, str | float] = {"width": WIDE.width, "height": WIDE.height, "class": "paper"}
    # The style holds nothing that came from outside, so it needs no escaping.
    drawn = _image(points, ambient_celsius, limits, WIDE, [f"<style>{_FILE_STYLE}</style>", svg.element("rect", size)])
    named = drawn.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{svg.number(WIDE.width)}" ', 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{named}\n'


def check_points(points: Sequence[HeatPoint]) -> None:
    """Refuse what cannot be drawn. Raises UsageError."""
    if len(points) < 2:
        raise UsageError(f"a curve of {len(points)} points cannot be drawn, 2 are needed", hint="ask for more minutes")
    if any(later.seconds <= earlier.seconds for earlier, later in zip(points, points[1:], strict=False)):
        raise UsageError("the times of a curve do not rise", hint="sort its points, one for each moment")


def thinned(points: Sequence[HeatPoint], most: int) -> list[HeatPoint]:
    """At most `most` points and the last one: each stands for a stretch and spans its band and its lowest clock."""
    stride = math.ceil(len(points) / most)
    found = []
    for first in range(0, len(points), stride):
        stretch = points[first : first + stride]
        found.append(
            HeatPoint(
                stretch[0].seconds,
                stretch[0].celsius,
                min(point.low for point in stretch),
                max(point.high for point in stretch),
                min(point.clock for point in stretch),
            )
        )
    return found if found[-1].seconds == points[-1].seconds else [*found, points[-1]]


def _image(
    points: Sequence[HeatPoint], ambient_celsius: float, limits: Sequence[float], shape: Shape, under: list[str]
) -> str:
    check_points(points)
    panels = _panels(points, ambient_celsius, limits, shape)
    kept = thinned(points, _MOST_POINTS)
    drawn = [
        *under,
        *_grid(panels),
        _band(kept, panels),
        *_rules(ambient_celsius, limits, panels),
        _curve([(panels.time.at(p.seconds / 60), panels.celsius.at(p.celsius)) for p in kept]),
        _curve([(panels.time.at(p.seconds / 60), panels.clock.at(100 * p.clock)) for p in kept]),
        *_rule_labels(ambient_celsius, limits, panels),
    ]
    return svg.image(
        shape.identifier,
        "temperature over time",
        _told(points, ambient_celsius),
        shape.width,
        shape.height,
        shape.css_class,
        drawn,
    )


def _told(points: Sequence[HeatPoint], ambient_celsius: float) -> str:
    last, hottest = points[-1], max(point.celsius for point in points)
    slowed = next((point.seconds for point in points if point.clock < 1), None)
    pace = "The clock stays full." if slowed is None else f"The clock first falls after {slowed:.0f} s."
    return (
        f"The chip's temperature over {significant(last.seconds / 60)} minutes in air of {ambient_celsius:.0f} °C, with "
        f"its interval as a band: at most {hottest:.0f} °C, {last.celsius:.0f} °C at the end ({last.low:.0f} to "
        f"{last.high:.0f}). {pace}"
    )


def _panels(points: Sequence[HeatPoint], ambient_celsius: float, limits: Sequence[float], shape: Shape) -> _Panels:
    frame = shape.frame
    pace = Box(frame.left, frame.bottom - _CLOCK_HEIGHT, frame.right, frame.bottom)
    heat = Box(frame.left, frame.top, frame.right, pace.top - _GAP)
    hottest = max(point.high for point in points)
    # A limit far above the curve would only flatten it.
    near = [limit for limit in limits if limit <= hottest + 25]
    low = min(ambient_celsius, *(point.low for point in points))
    high = max([hottest, *near])
    celsius = linear(low - 3, high + 4, heat.bottom, heat.top, wanted=6)
    minutes = [point.seconds / 60 for point in (points[0], points[-1])]
    time = linear(minutes[0], minutes[1], frame.left, frame.right, wanted=round((frame.right - frame.left) / 90))
    clock = Axis(0.0, 105.0, pace.bottom, pace.top, (0.0, 50.0, 100.0))
    return _Panels(time, celsius, clock, heat, pace)


def _grid(panels: _Panels) -> list[str]:
    drawn = []
    for axis in (panels.celsius, panels.clock):
        for tick in axis.ticks:
            y = axis.at(tick)
            drawn.append(svg.line(panels.heat.left, y, panels.heat.right, y, "grid"))
            drawn.append(svg.text(f"{tick:g}", panels.heat.left - 8, y + 4, "tick-text", "end"))
    for tick in panels.time.ticks:
        x = panels.time.at(tick)
        drawn.append(svg.line(x, panels.pace.bottom, x, panels.pace.bottom + 5, "axis"))
        drawn.append(svg.text(f"{tick:g}", x, panels.pace.bottom + 19, "tick-text", "middle"))
    for box in (panels.heat, panels.pace):
        drawn.append(svg.line(box.left, box.bottom, box.right, box.bottom, "axis"))
    drawn.append(svg.text("↑ chip, °C", 2, 14, "axis-text"))
    drawn.append(svg.text("↑ clock, % of full", 2, panels.pace.top - 10, "axis-text"))
    drawn.append(svg.text("minutes", panels.pace.right, panels.pace.bottom + 37, "axis-text", "end"))
    return drawn


def _band(points: Sequence[HeatPoint], panels: _Panels) -> str:
    above = [(panels.time.at(point.seconds / 60), panels.celsius.at(point.high)) for point in points]
    below = [(panels.time.at(point.seconds / 60), panels.celsius.at(point.low)) for point in reversed(points)]
    return svg.element("polygon", {"points": _joined(above + below), "class": "band"})


def _curve(places: list[tuple[float, float]]) -> str:
    return svg.element("polyline", {"points": _joined(places), "class": "curve"})


def _joined(places: list[tuple[float, float]]) -> str:
    return " ".join(f"{svg.number(x)},{svg.number(y)}" for x, y in places)


def _shown(limits: Sequence[float], panels: _Panels) -> list[float]:
    return sorted(limit for limit in limits if panels.celsius.low <= limit <= panels.celsius.high)


def _rules(ambient_celsius: float, limits: Sequence[float], panels: _Panels) -> list[str]:
    def rule(celsius: float, css_class: str) -> str:
        y = panels.celsius.at(celsius)
        return svg.line(panels.heat.left, y, panels.heat.right, y, css_class)

    return [rule(ambient_celsius, "original-line"), *(rule(limit, "limit") for limit in _shown(limits, panels))]


def _rule_labels(ambient_celsius: float, limits: Sequence[float], panels: _Panels) -> list[str]:
    """Beside the end of each line; one that would cover the label before it is left out, its line stays."""
    labels = [(ambient_celsius, f"air {ambient_celsius:g} °C")]
    labels += [(limit, f"slows from {limit:g} °C") for limit in _shown(limits, panels)]
    drawn, last = [], math.inf
    for celsius, words in labels:
        y = panels.celsius.at(celsius) - 4
        if last - y >= _TEXT_HEIGHT:
            drawn.append(svg.text(words, panels.heat.right - 4, y, "label", "end"))
            last = y
    return drawn
