"""Reads the fields of a request one by one; whatever is wrong is refused with the field's name.

A field that is null counts as left out, as with OpenAI.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from shoestring.device.language.refusals import bad

SHOWN = 60
"""Characters of a client's own value that a refusal repeats."""


class Fields:
    """The object of one request. Every field is taken once; `done` refuses those that nobody took.

    Args:
        body: of the request.
        prefix: of the names in refusals, for an object inside another.

    Raises:
        ApiRefusal: it is no JSON object.
    """

    def __init__(self, body: bytes | dict[str, Any], prefix: str = "") -> None:
        if isinstance(body, bytes):
            try:
                body = msgspec.json.decode(body)
            except msgspec.DecodeError as error:
                raise bad(None, f"the body is not JSON: {error}") from None
            except RecursionError:
                raise bad(None, "the body is nested too deeply") from None
        if not isinstance(body, dict):
            raise bad(prefix.rstrip(".") or None, f"{prefix or 'the body '}is not a JSON object")
        self._left = {name: value for name, value in body.items() if value is not None}
        self._prefix = prefix

    def take(self, name: str) -> Any:
        """The value as it is, or None."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        """A text."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, f"is {shown(value)}, not a text")
        return value

    def truth(self, name: str) -> bool:
        """True or false; left out is false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, f"is {shown(value)}, not true or false")
        return bool(value)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, f"is {shown(value)}, not a whole number")
        if not least <= value <= most:
            raise self.wrong(name, f"is {value}, it must be {least} to {most}")
        return int(value)

    def number(self, name: str, least: float, most: float, usual: float) -> float:
        """A number."""
        value = self.take(name)
        if value is None:
            return usual
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(name, f"is {shown(value)}, not a number")
        if not least <= value <= most:
            raise self.wrong(name, f"is {value}, it must be {least:g} to {most:g}")
        return float(value)

    def inner(self, name: str) -> Fields | None:
        """An object in this one."""
        value = self.take(name)
        return None if value is None else Fields(value if isinstance(value, dict) else {"": value}, self._path(name))

    def only(self, name: str, *allowed: Any, why: str) -> None:
        """A field that may only say what is done anyway."""
        value = self.take(name)
        if value is not None and not any(value == one and type(value) is type(one) for one in allowed):
            raise self.wrong(name, f"is {shown(value)}: {why}", "unsupported_value")

    def ignore(self, *names: str) -> None:
        """Fields that change nothing about an answer."""
        for name in names:
            self.take(name)

    def done(self) -> None:
        """Refuse what nobody took."""
        for name in sorted(self._left):
            raise self.wrong(name, "is not known here; leave it out", "unknown_parameter")

    def wrong(self, name: str, words: str, code: str | None = None) -> Exception:
        """The refusal of one field."""
        path = f"{self._prefix}{name}"[:SHOWN]
        return bad(path, f"{path} {words}", code or "invalid_value")

    def _path(self, name: str) -> str:
        return f"{self._prefix}{name}."


def shown(value: Any) -> str:
    """A client's value, cut."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


__all__ = ["Fields", "shown"]
