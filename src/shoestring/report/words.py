"""Numbers as the page writes them, and foreign text made safe to read."""

from __future__ import annotations

import math
import re
import unicodedata

MINUS = "\u2212"
REPLACEMENT = "\ufffd"
# Characters that reorder the text around them: a layer's name must not be able to rewrite the line it stands in.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNIT_GAP = re.compile(r"(?<=\d) (?=(?:%|pt|ms|s|[kMG]?B|dB)(?!\w))")
_FRACTIONS = ((1 / 2, "half"), (1 / 3, "a third"), (1 / 4, "a quarter"), (1 / 5, "a fifth"), (1 / 10, "a tenth"))
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def clean(text: str) -> str:
    """`text` without control characters, lone surrogates and characters that reorder what is around them.

    Escaping of markup is not done here: the templates and `svg.element` do it.
    """
    return "".join(
        REPLACEMENT if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs") else char
        for char in re.sub(r"[\t\r\n]+", " ", text)
    )


def tidy(text: str) -> str:
    """`clean` text whose numbers keep to the same line as their units."""
    return _UNIT_GAP.sub("\u00a0", clean(text))


def elide(text: str, length: int) -> str:
    """`text` cut in the middle to at most `length` characters."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def count(number: int) -> str:
    """12345 -> '12,345'."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """(1, 'image') -> '1 image'; (2, 'image') -> '2 images'."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def percent(fraction: float) -> str:
    """0.94215 -> '94.22 %'."""
    return f"{100 * fraction:.2f} %"


def confidence(fraction: float) -> str:
    """0.95 -> '95 %'; 0.975 -> '97.5 %'."""
    return f"{100 * fraction:.4g} %"


def points(fraction: float) -> str:
    """0.0123 -> '1.23 pt'; -0.001 -> '−0.10 pt'."""
    text = f"{abs(100 * fraction):.2f}"
    sign = MINUS if fraction < 0 and float(text) > 0 else ""
    return f"{sign}{text} pt"


def margin(fraction: float) -> str:
    """A limit as it was asked for: 0.01 -> '1 pt', 0.005 -> '0.5 pt'."""
    return f"{100 * fraction:.4g} pt"


def limit_ms(value_ms: float) -> str:
    """A limit as it was asked for: 5.0 -> '5 ms'."""
    return f"{value_ms:.4g} ms" if value_ms < 1000 else f"{value_ms / 1000:.4g} s"


def milliseconds(value_ms: float) -> str:
    """4.321 -> '4.32 ms'; 1234 -> '1.23 s'. Three significant digits, never an exponent."""
    return f"{significant(value_ms)} ms" if value_ms < 999.5 else f"{significant(value_ms / 1000)} s"


def significant(value: float, digits: int = 3) -> str:
    """`value` at so many significant digits, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def times(ratio: float) -> str:
    """How many times as fast something is: 2.134 -> '2.13', 0.9 -> '0.90', 12.3 -> '12.3'."""
    return f"{ratio:.2f}" if ratio < 9.995 else significant(ratio)


def share(fraction: float) -> str:
    """A part of a whole, for a sentence: 0.26 -> 'a quarter', 0.43 -> '43 %'. Words where they are right within 5 %."""
    for exact, name in _FRACTIONS:
        if abs(fraction / exact - 1) <= 0.05:
            return name
    return f"{100 * fraction:.0f} %" if fraction >= 0.1 else f"{100 * fraction:.2g} %"


def power_of_ten(exponent: int) -> str:
    """-5 -> '10⁻⁵'."""
    return f"10{str(exponent).translate(_SUPERSCRIPT)}"


def small(value: float) -> str:
    """A quantity that spans many decades: 0.0123 -> '0.0123', 0.0000123 -> '1.2 × 10⁻⁵', 0 -> '0'."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 0.001:
        return significant(value, 2)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × {power_of_ten(int(exponent))}"


def listed(items: list[str]) -> str:
    """['a', 'b', 'c'] -> 'a, b and c'."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
