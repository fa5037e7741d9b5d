"""Temperature and clock of a board over time, for a terminal: plain characters, no colour."""

from __future__ import annotations

from collections.abc import Sequence

from shoestring.base.errors import UsageError
from shoestring.report.heat_plot import HeatPoint, check_points

_MARGIN = 7


def heat_text(
    points: Sequence[HeatPoint],
    *,
    ambient_celsius: float,
    limits: Sequence[float],
    width: int = 72,
    height: int = 14,
) -> str:
    """Draw a run in characters: `*` the temperature, `.` its interval, `-` where the clock falls, `_` the air.

    The line below holds the clock in tenths of the full one, `#` for full.

    Args:
        points: at least two, by rising time.
        ambient_celsius: of the air.
        limits: temperatures from which the clock falls, C.
        width: of the whole, at least 24 characters.
        height: of the temperature's part, at least 4 lines.

    Returns:
        Lines joined by newlines, none longer than `width`.

    Raises:
        UsageError: too small, or points that cannot be drawn.
    """
    check_points(points)
    if width < 24 or height < 4:
        raise UsageError(f"a plot of {width} x {height} characters is too small", hint="24 x 4 is the smallest")
    columns = _columns(points, width - _MARGIN)
    hottest = max(point.high for point in points)
    near = [limit for limit in limits if limit <= hottest + 25]
    low, high = min([ambient_celsius, *(p.low for p in points)]), max([hottest, *near])
    span = max(high - low, 1.0)

    def level(celsius: float) -> int:
        return round((celsius - low) / span * (height - 1))

    rows = [[" "] * len(columns) for _ in range(height)]
    rows[level(ambient_celsius)] = ["_"] * len(columns)
    for limit in near:
        rows[level(limit)] = ["-"] * len(columns)
    for place, column in enumerate(columns):
        for row in range(level(min(p.low for p in column)), level(max(p.high for p in column)) + 1):
            rows[row][place] = "."
        rows[level(column[-1].celsius)][place] = "*"
    named = {level(low + part * span): low + part * span for part in (0.0, 0.5, 1.0)}
    lines = [
        f"{f'{named[row]:.0f} C' if row in named else '':>{_MARGIN - 1}} {''.join(rows[row])}".rstrip()
        for row in reversed(range(height))
    ]
    clock = "".join(_tenths(min(point.clock for point in column)) for column in columns)
    start, end = f"{points[0].seconds / 60:.3g}", f"{points[-1].seconds / 60:.3g} min"
    ruler = f"{'':{_MARGIN}}{start}{end:>{len(columns) - len(start)}}"
    return "\n".join([*lines, f"{'clock':>{_MARGIN - 1}} {clock}", ruler])


def _columns(points: Sequence[HeatPoint], count: int) -> list[list[HeatPoint]]:
    """The points of each column of equal time; where samples are sparse, a column repeats the one before it."""
    start, span = points[0].seconds, points[-1].seconds - points[0].seconds
    columns: list[list[HeatPoint]] = [[] for _ in range(count)]
    for point in points:
        columns[min(count - 1, int((point.seconds - start) / span * count))].append(point)
    filled = []
    before = [points[0]]
    for column in columns:
        before = column or before[-1:]
        filled.append(before)
    return filled


def _tenths(clock: float) -> str:
    return "#" if clock >= 0.995 else str(min(9, int(10 * clock)))
