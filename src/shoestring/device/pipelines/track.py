"""Tracks: the same thing keeps its number, and is told where it should be between two runs of the model.

Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016: association by intersection over union alone, motion of
constant velocity. In place of its Kalman filter an alpha-beta filter: while a track is young its gains are those of a
least-squares line through all that was seen, 2 (2k - 1) / (k (k + 1)) and 6 / (k (k + 1)) at the k-th sight, and no
less than fixed gains later (Brookner, "Tracking and Kalman Filtering Made Easy", 1998, sections 1.2 and 1.3). Sizes are
smoothed and have no speed: a detector's sizes tremble more than things grow. In place of the Hungarian assignment the
pairs are taken best first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.heads.found import overlaps

if TYPE_CHECKING:
    from shoestring.device.pipelines.nouns import Box

Array = npt.NDArray[Any]

_MOST_SPEED = 4.0  # pictures a second: a faster change between two answers is another thing, not a motion
_LEAST_MISSES = 3


@dataclass(frozen=True)
class Tracking:
    """How tracks live.

    Args:
        overlap: intersection over union from which a box continues a track, above 0 to 1.
        position_gain, speed_gain: least gains of the alpha-beta filter, 0 to 1: what part of a surprise is believed.
        size_gain: likewise, of the smoothing of sizes.
        settled_sights: from so many sights on a track's speed is trusted to tell where it is between two answers.
        keep_s: a track that was not seen for longer, and missed by three answers, is forgotten, s.
        shown_misses: for so many answers after it was last seen a track is still told, with a lesser score.
        fade: factor on the score for each such answer, 0 to 1.
    """

    overlap: float = 0.15
    position_gain: float = 0.8
    speed_gain: float = 0.4
    size_gain: float = 0.5
    settled_sights: int = 4
    keep_s: float = 1.0
    shown_misses: int = 1
    fade: float = 0.5


@dataclass
class _Track:
    number: int
    box: Box
    centre: Array  # x, y
    size: Array  # width, height
    speed: Array  # of the centre, a second
    seen_s: float
    sights: int = 1
    misses: int = 0


class Tracker:
    """Follows boxes from answer to answer.

    Args:
        tracking: how tracks live.

    The times given to it must not run backwards.
    """

    def __init__(self, tracking: Tracking | None = None) -> None:
        self._how = tracking or Tracking()
        self._tracks: list[_Track] = []
        self._at_s = 0.0
        self._next = 1

    def update(self, boxes: tuple[Box, ...], at_s: float) -> tuple[Box, ...]:
        """Take a model's answer.

        Args:
            boxes: best first.
            at_s: when the frame arrived, monotonic, s.

        Returns:
            The same boxes under the numbers of their tracks, then those missed by the answer that are still shown.
        """
        how = self._how
        self._move(at_s)
        pairs = self._associate(boxes)
        taken = dict(pairs)
        answered = []
        seen = []
        for place, box in enumerate(boxes):
            track = self._tracks[taken[place]] if place in taken else self._begin(box, at_s)
            if place in taken:
                self._correct(track, box, at_s)
            seen.append(track)
            answered.append(box.tracked(track.number))
        missed = [track for place, track in enumerate(self._tracks) if place not in set(taken.values())]
        for track in missed:
            track.misses += 1
        self._tracks = seen + [
            track for track in missed if at_s - track.seen_s <= how.keep_s or track.misses < _LEAST_MISSES
        ]
        return tuple(answered) + self._shown(missed)

    def predict(self, at_s: float) -> tuple[Box, ...]:
        """Where the things of the last answer should be now, best first.

        Args:
            at_s: when the frame arrived, monotonic, s.
        """
        self._move(at_s)
        seen = [track for track in self._tracks if not track.misses]
        missed = [track for track in self._tracks if track.misses]
        return tuple(_placed(track) for track in seen) + self._shown(missed)

    @property
    def settled(self) -> bool:
        """Whether all things of the last answer were seen often enough for their speeds to be trusted."""
        return all(track.sights >= self._how.settled_sights for track in self._tracks if not track.misses)

    def hold(self, at_s: float) -> None:
        """Nothing moved since the last answer: things stand where they were seen.

        Args:
            at_s: when the frame arrived, monotonic, s.
        """
        self._at_s = at_s
        for track in self._tracks:
            track.centre, track.size = _state(track.box)
            track.speed = np.zeros(2)

    def _begin(self, box: Box, at_s: float) -> _Track:
        track = _Track(self._next, box, *_state(box), np.zeros(2), at_s)
        self._next += 1
        return track

    def _move(self, at_s: float) -> None:
        elapsed = max(0.0, at_s - self._at_s)
        for track in self._tracks:
            track.centre = track.centre + track.speed * elapsed
        self._at_s = at_s

    def _correct(self, track: _Track, box: Box, at_s: float) -> None:
        how, elapsed = self._how, at_s - track.seen_s
        track.sights += 1
        pairs = track.sights * (track.sights + 1)
        position = max(how.position_gain, 2 * (2 * track.sights - 1) / pairs)
        speed = max(how.speed_gain, 6 / pairs)
        centre, size = _state(box)
        surprise = centre - track.centre
        track.centre = track.centre + position * surprise
        track.size = track.size + how.size_gain * (size - track.size)
        if elapsed > 0:
            track.speed = np.clip(track.speed + speed * surprise / elapsed, -_MOST_SPEED, _MOST_SPEED)
        track.box, track.seen_s, track.misses = box, at_s, 0

    def _associate(self, boxes: tuple[Box, ...]) -> list[tuple[int, int]]:
        """(place of the box, place of the track), each in one pair at most; the largest overlaps first."""
        if not boxes or not self._tracks:
            return []
        given = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes])
        matrix = overlaps(given, np.array([_corners(track) for track in self._tracks]))
        classes = np.array([track.box.index for track in self._tracks])
        matrix[np.array([box.index for box in boxes])[:, None] != classes[None]] = 0
        pairs: list[tuple[int, int]] = []
        while (place := int(np.argmax(matrix))) >= 0 and matrix.flat[place] >= self._how.overlap:
            box, track = divmod(place, len(self._tracks))
            pairs.append((box, track))
            matrix[box], matrix[:, track] = 0, 0
        return pairs

    def _shown(self, missed: list[_Track]) -> tuple[Box, ...]:
        return tuple(
            replace(_placed(track), score=track.box.score * self._how.fade**track.misses)
            for track in missed
            if track.misses <= self._how.shown_misses
        )


def _state(box: Box) -> tuple[Array, Array]:
    """Centre and size."""
    size = np.array([box.right - box.left, box.bottom - box.top])
    return np.array([box.left, box.top]) + size / 2, size


def _corners(track: _Track) -> tuple[float, float, float, float]:
    left, top = (track.centre - track.size / 2).tolist()
    right, bottom = (track.centre + track.size / 2).tolist()
    return left, top, right, bottom


def _placed(track: _Track) -> Box:
    left, top, right, bottom = (min(1.0, max(0.0, side)) for side in _corners(track))
    return replace(track.box, left=left, top=top, right=right, bottom=bottom, track=track.number)
