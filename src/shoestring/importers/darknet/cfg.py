"""The text of a .cfg: sections of key=value lines, each remembered with its line for messages.

The rules are those of read_cfg and read_option in the file src/parser.c and src/option_list.c of Darknet
(github.com/pjreddie/darknet): blanks count for nothing, `#` and `;` start a comment line, the first `=` divides.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_GRAPH_NODES

MAX_CFG_BYTES = 4 * 1024 * 1024  # yolov4.cfg has 12 kB
MAX_INTEGER = 2**31 - 1  # of Darknet's own int
MAX_LIST = 10_000
_BLANKS = re.compile(r"[ \t\r\f]+")
_INTEGER = re.compile(r"[+-]?\d{1,10}")


@dataclass(frozen=True)
class Option:
    """One key=value line."""

    text: str
    line: int


@dataclass
class Section:
    """One [kind] with its options. Getters remember which keys were read; see `options.check_rest`.

    Args:
        kind: the word in the brackets, lower case.
        line: of the bracket, from 1.
        options: by key.
    """

    kind: str
    line: int
    options: dict[str, Option] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def wrong(self, message: str, *, hint: str | None = None) -> ModelError:
        """An error that names this section and its line."""
        return ModelError(f"line {self.line}, [{self.kind}]: {message}", hint=hint)

    def text(self, key: str, default: str | None = None) -> str | None:
        self.read.add(key)
        found = self.options.get(key)
        return default if found is None else found.text

    def integer(self, key: str, default: int | None, low: int = 0, high: int = MAX_INTEGER) -> int:
        """A whole number in low..high.

        Raises:
            ModelError: no number, outside the range, or missing without a default.
        """
        text = self.text(key)
        if text is None:
            if default is None:
                raise self.wrong(f"has no {key}=", hint="the file is cut, or not meant for this layer")
            return default
        return self._integer(key, text, low, high)

    def integers(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Whole numbers with commas between; a comma at the end counts for nothing."""
        text = self.text(key)
        if text is None:
            if default is None:
                raise self.wrong(f"has no {key}=", hint="the file is cut, or not meant for this layer")
            return default
        return tuple(self._integer(key, part, -MAX_INTEGER, MAX_INTEGER) for part in self._parts(key, text))

    def number(self, key: str, default: float) -> float:
        text = self.text(key)
        return default if text is None else self._number(key, text)

    def numbers(self, key: str) -> tuple[float, ...]:
        text = self.text(key)
        if text is None:
            raise self.wrong(f"has no {key}=", hint="the file is cut, or not meant for this layer")
        return tuple(self._number(key, part) for part in self._parts(key, text))

    def _parts(self, key: str, text: str) -> list[str]:
        parts = text.rstrip(",").split(",")
        if len(parts) > MAX_LIST:
            raise self._odd(key, text, f"a list of at most {MAX_LIST} numbers")
        return parts

    def _integer(self, key: str, text: str, low: int, high: int) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise self._odd(key, text, f"a whole number in {low}..{high}")
        return int(text)

    def _number(self, key: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self._odd(key, text, "a number") from None
        if not math.isfinite(value):
            raise self._odd(key, text, "a finite number")
        return value

    def _odd(self, key: str, text: str, wanted: str) -> ModelError:
        line = self.options[key].line
        return ModelError(
            f"line {line}, [{self.kind}]: {key}={text[:40]} is not {wanted}", hint="mend that line of the .cfg"
        )


def parse_cfg(data: bytes) -> list[Section]:
    """The sections of a .cfg in their order; the first is [net].

    Args:
        data: the whole file.

    Raises:
        ModelError: not such a file; names the line.
    """
    if len(data) > MAX_CFG_BYTES:
        raise ModelError(
            f"the .cfg has {len(data)} bytes, more than the limit of {MAX_CFG_BYTES}", hint="give the text file, .cfg"
        )
    sections: list[Section] = []
    for number, raw in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        line = _BLANKS.sub("", raw)
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            sections.append(_section(line, number))
            continue
        _add_option(sections, line, number)
    if len(sections) > MAX_GRAPH_NODES:
        raise ModelError(f"the .cfg has {len(sections)} sections, more than the limit of {MAX_GRAPH_NODES}")
    if not sections or sections[0].kind not in ("net", "network"):
        found = f"[{sections[0].kind}]" if sections else "nothing"
        raise ModelError(f"the .cfg must begin with [net]; it begins with {found}", hint="is the file complete?")
    return sections


def _section(line: str, number: int) -> Section:
    kind, end, _ = line[1:].partition("]")
    if not end or not kind:
        raise ModelError(f"line {number}: {line[:40]!r} is no [section]", hint="mend that line of the .cfg")
    return Section(kind.lower(), number)


def _add_option(sections: list[Section], line: str, number: int) -> None:
    key, equals, value = line.partition("=")
    value = value.partition("#")[0]
    if not equals or not key or not sections:
        raise ModelError(f"line {number}: {line[:40]!r} is no key=value in a section", hint="is this a Darknet .cfg?")
    options = sections[-1].options
    # Darknet takes the first of two; a reader of the file would not know.
    if key in options:
        raise ModelError(
            f"line {number}: [{sections[-1].kind}] has {key}= again, first on line {options[key].line}",
            hint="keep one of the two",
        )
    options[key] = Option(value, number)
