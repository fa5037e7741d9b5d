"""How long a server asks to be left alone: `Retry-After` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import email.utils

MAX_DIGITS = 9
"""Of a number of seconds: thirty years. Whoever waits has a bound of its own, far below."""


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds from now; None where nothing is asked, or nonsense.

    Args:
        value: of the header; None where the answer has none.
        now_s: the wall clock, s since 1970: a server may name a date.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return max(0.0, when.timestamp() - now_s)
