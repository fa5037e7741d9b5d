"""The text of an ncnn network, read by our own strict grammar before ncnn's parser, which trusts it, sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoestring.base.errors import EngineError
from shoestring.base.limits import MAX_NCNN_LAYERS

MAGIC = "7767517"
_NAME = re.compile(r"[A-Za-z0-9_.]{1,200}")
_COUNT = re.compile(r"[0-9]{1,6}")
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_FLOAT = re.compile(r"-?[0-9]\.[0-9]{1,8}e[+-][0-9]{2}")
_ARRAY = 23300
_MOST_KEYS = 32  # ncnn's ParamDict has as many places
_MOST_IN_ARRAY = 16

Number = int | float


@dataclass(frozen=True)
class TextLayer:
    """A line: names of blobs read and made, and numbered parameters (arrays as tuples)."""

    kind: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    params: dict[int, Number | tuple[Number, ...]]


def parse(text: str) -> list[TextLayer]:
    """The layers of a text.

    Raises:
        EngineError: anything but what our own converter writes, with the number of the line.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != MAGIC or lines[-1] != "":
        raise EngineError("the text of the network is cut off, or no ncnn text")
    counts = lines[1].split(" ")
    if len(counts) != 2 or not all(_COUNT.fullmatch(count) for count in counts):
        raise EngineError(f"line 2 of the network's text is {lines[1][:40]!r}; it must be two counts")
    layers, blobs = map(int, counts)
    if layers != len(lines) - 3 or not 1 <= layers <= MAX_NCNN_LAYERS:
        raise EngineError(
            f"the network's text announces {layers} layers and has {len(lines) - 3} (limit {MAX_NCNN_LAYERS})"
        )
    found = [_layer(line, number + 3) for number, line in enumerate(lines[2:-1])]
    made = sum(len(layer.tops) for layer in found)
    if blobs != made:
        raise EngineError(f"the network's text announces {blobs} blobs and makes {made}")
    return found


def _layer(line: str, number: int) -> TextLayer:
    words = line.split(" ")
    if len(words) < 4 or not all(map(_NAME.fullmatch, words[:2])) or not all(map(_COUNT.fullmatch, words[2:4])):
        raise _wrong(number, line, "it must start with a type, a name and two counts")
    bottoms, tops = int(words[2]), int(words[3])
    blobs = words[4 : 4 + bottoms + tops]
    if len(blobs) != bottoms + tops or not all(map(_NAME.fullmatch, blobs)):
        raise _wrong(number, line, f"it must name {bottoms} + {tops} blobs")
    params: dict[int, Number | tuple[Number, ...]] = {}
    for word in words[4 + bottoms + tops :]:
        key, value = _param(number, line, word)
        if key in params or not 0 <= key < _MOST_KEYS:
            raise _wrong(number, line, f"parameter {key} is twice there, or not in 0..{_MOST_KEYS - 1}")
        params[key] = value
    return TextLayer(words[0], words[1], tuple(blobs[:bottoms]), tuple(blobs[bottoms:]), params)


def _param(number: int, line: str, word: str) -> tuple[int, Number | tuple[Number, ...]]:
    key, found, value = word.partition("=")
    if not found or not _INTEGER.fullmatch(key):
        raise _wrong(number, line, f"{word[:40]!r} is no parameter")
    place = int(key)
    if place > -_ARRAY:
        return place, _number(number, line, value)
    count, *items = value.split(",")
    if not _COUNT.fullmatch(count) or int(count) != len(items) or not 1 <= len(items) <= _MOST_IN_ARRAY:
        raise _wrong(number, line, f"{word[:40]!r} is no array of 1 to {_MOST_IN_ARRAY}")
    return -place - _ARRAY, tuple(_number(number, line, item) for item in items)


def _number(number: int, line: str, word: str) -> Number:
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word):
        return float(word)
    raise _wrong(number, line, f"{word[:40]!r} is no number")


def _wrong(number: int, line: str, why: str) -> EngineError:
    return EngineError(f"line {number} of the network's text, {line[:60]!r}: {why}")
