"""Settings that somebody else wrote, taken by name with their type and range held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.safetensors.strict_json import DAMAGED

_SHOWN = 80
_REQUIRED = object()


@dataclass(frozen=True)
class Fields:
    """An object of settings.

    Args:
        values: as parsed.
        where: the file, for messages.
    """

    values: dict[str, Any]
    where: str

    def integer(self, key: str, least: int, most: int, default: Any = _REQUIRED) -> int:
        """A whole number from `least` to `most`; `default` where the key is missing or null. Raises ModelError."""
        found = self._get(key, default)
        if found is default or (type(found) is int and least <= found <= most):
            return int(found)
        raise self.wrong(key, f"expected a whole number from {least:,} to {most:,}")

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        """A finite number. Raises ModelError."""
        found = self._get(key, default)
        if found is default or (type(found) in (int, float) and math.isfinite(found)):
            return float(found)
        raise self.wrong(key, "expected a number")

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """A text. Raises ModelError."""
        found = self._get(key, default)
        if found is default or isinstance(found, str):
            return str(found)
        raise self.wrong(key, "expected a text")

    def flag(self, key: str, default: bool) -> bool:
        """True or false. Raises ModelError."""
        found = self._get(key, default)
        if isinstance(found, bool):
            return found
        raise self.wrong(key, "expected true or false")

    def inner(self, key: str) -> Fields:
        """An object below; an empty one where the key is missing or null. Raises ModelError."""
        found = self._get(key, {})
        if isinstance(found, dict):
            return Fields(found, f"{self.where}, {key}")
        raise self.wrong(key, "expected an object")

    def get(self, key: str) -> Any:
        """Whatever stands there, or None."""
        return self.values.get(key)

    def wrong(self, key: str, expected: str) -> ModelError:
        """The error that says what stands at `key`, and what was expected."""
        return ModelError(f"{self.where} states {key} = {self.values.get(key)!r:.{_SHOWN}}, {expected}", hint=DAMAGED)

    def _get(self, key: str, default: Any) -> Any:
        found = self.values.get(key)
        if found is not None:
            return found
        if default is _REQUIRED:
            raise ModelError(f"{self.where} does not state {key}", hint="is it the config of the model beside it?")
        return default
