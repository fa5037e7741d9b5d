"""Results as JSON lines, one a result. The schema is closed: these keys, always all of them.

{"frame": 12,                   number of the frame; dropped ones leave gaps
 "name": "",                    of the file it came from, or empty
 "time": 1790000000.123,        when the frame arrived, seconds of Unix time
 "latency_ms": 41.7,            from its arrival to this answer
 "rung": "int8@native",         whose answer it is or goes back to
 "by": "model",                 "model"; "track": predicted from earlier answers; "still": nothing moved since one
 "boxes": [{"left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.6, "index": 0, "label": "person", "score": 0.87,
            "track": 3}],       of a detector, best first, in 0..1 of the picture; track may be null
 "answer": {"index": 3, "label": "cat", "score": 0.91, "stages": 1,
            "top": [{"index": 3, "label": "cat", "score": 0.91}]}}      of a classifier, or null
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TextIO

from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.answers import Answer
    from shoestring.device.pipelines.nouns import Box, Result

_DIGITS = 5  # of positions and scores: a hundredth of a pixel in a 1000 pixel picture


class JsonLines:
    """Writes results to a stream, each at once.

    Args:
        stream: for text; whoever opened it closes it.
        wall: Unix time, s.
        monotonic: the clock of the results, s.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._wall, self._monotonic = stream, wall, monotonic

    def write(self, result: Result) -> None:
        """One line. Raises StorageError when the stream takes no more."""
        arrived = self._wall() - self._monotonic() + result.arrived_s
        try:
            self._stream.write(result_line(result, arrived) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # a closed stream is a ValueError
            raise StorageError(f"a result cannot be written: {error}", hint="check the disk, or who reads") from error


def result_line(result: Result, unix_s: float) -> str:
    """A result as one line of JSON, without its end.

    Args:
        result: to write.
        unix_s: Unix time at which its frame arrived, s.
    """
    plain = {
        "frame": result.frame,
        "name": result.name,
        "time": round(unix_s, 3),
        "latency_ms": round(1e3 * (result.answered_s - result.arrived_s), 3),
        "rung": result.rung,
        "by": result.by,
        "boxes": [_box(box) for box in result.boxes],
        "answer": None if result.answer is None else _answer(result.answer),
    }
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _box(box: Box) -> dict[str, Any]:
    sides = {side: round(getattr(box, side), _DIGITS) for side in ("left", "top", "right", "bottom")}
    return {**sides, "index": box.index, "label": box.label, "score": round(box.score, _DIGITS), "track": box.track}


def _answer(answer: Answer) -> dict[str, Any]:
    top = [{"index": index, "label": label, "score": round(score, _DIGITS)} for index, label, score in answer.top]
    best = {"index": answer.index, "label": answer.label, "score": round(answer.score, _DIGITS)}
    return {**best, "stages": answer.stages, "top": top}
