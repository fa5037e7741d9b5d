"""Quantities as users write them: `1pt`, `5ms`, `1.5GB`; and how we print them."""

from __future__ import annotations

import math
import re

from shoestring.base.errors import UsageError

_NUMBER = re.compile(r"^\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*([a-zA-Z%µ]*)\s*$")

DROP_UNITS = {"pt": 0.01, "pts": 0.01, "%": 0.01, "": None}
TIME_UNITS_MS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001}
PERIOD_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
BYTE_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _split(text: str, what: str, example: str) -> tuple[float, str]:
    match = _NUMBER.match(text)
    if match is None:
        raise UsageError(f"{what} {text!r} is not a number with a unit", hint=f"write it like {example}")
    value = float(match[1])
    if not math.isfinite(value):
        raise UsageError(f"{what} {text!r} is too large to be a number", hint=f"write it like {example}")
    return value, match[2]


def parse_drop(text: str) -> float:
    """`1pt` or `1%` -> 0.01. A bare number is refused because 0.5 could mean either half a point or a half.

    Returns:
        The drop as a fraction in (0, 1).

    Raises:
        UsageError: no unit, unknown unit, or outside (0, 100) points.
    """
    value, unit = _split(text, "accuracy drop", "1pt")
    factor = DROP_UNITS.get(unit.lower())
    if factor is None:
        raise UsageError(f"accuracy drop {text!r} has no known unit", hint="write it in percentage points, like 1pt")
    drop = value * factor
    if not 0 < drop < 1:
        raise UsageError(f"accuracy drop {text!r} is outside (0, 100) points", hint="1pt is a usual choice")
    return drop


def parse_ms(text: str) -> float:
    """`5ms`, `0.2s`, `300us` -> milliseconds, above zero."""
    value, unit = _split(text, "latency", "5ms")
    factor = TIME_UNITS_MS.get(unit.lower())
    if factor is None or value <= 0:
        raise UsageError(f"latency {text!r} must be above zero, in ms, s or us", hint="write it like 5ms")
    return value * factor


def parse_period(text: str) -> float:
    """`90s`, `15m`, `6h`, `1d` -> seconds, above zero."""
    value, unit = _split(text, "period", "15m")
    factor = PERIOD_UNITS_S.get(unit.lower())
    if factor is None or value <= 0:
        raise UsageError(f"period {text!r} must be above zero, in s, m, h or d", hint="write it like 15m")
    return value * factor


def parse_bytes(text: str) -> int:
    """`500kB`, `4MB`, `1.5GiB` -> bytes, above zero."""
    value, unit = _split(text, "size", "4MB")
    factor = BYTE_UNITS.get(unit.lower())
    if factor is None or value <= 0:
        known = ", ".join(sorted(BYTE_UNITS))
        raise UsageError(f"size {text!r} must be above zero, in one of {known}", hint="write it like 4MB")
    return round(value * factor)


def format_bytes(count: float) -> str:
    """12_345_678 -> '12.3 MB' (decimal units, as storage is sold)."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count < 1000 * factor else f"{count / factor:.0f} {unit}"
    return f"{count:.0f} B"


def format_count(count: float) -> str:
    """1_234_567 -> '1.23 M'."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f}"


def format_ms(milliseconds: float) -> str:
    """1.2345 -> '1.23 ms'."""
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


def format_points(fraction: float) -> str:
    """0.0123 -> '1.23 pt'."""
    return f"{100 * fraction:.2f} pt"
