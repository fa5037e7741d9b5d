"""Tracks: numbers stay with their things, and predictions lie where the things are."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.device.pipelines.nouns import Box
from shoestring.device.pipelines.track import Tracker, Tracking
from shoestring.heads.found import overlaps


def box(x: float, y: float, width: float = 0.05, height: float = 0.15, index: int = 0, score: float = 0.8) -> Box:
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, index, str(index), score)


def overlap(one: Box, other: Box) -> float:
    a, b = (np.array([[each.left, each.top, each.right, each.bottom]]) for each in (one, other))
    return float(overlaps(a, b)[0, 0])


def walk(step: int, people: int = 4) -> list[Box]:
    """People who walk across in both directions at their own speeds, on lines of their own."""
    return [
        box((0.1 + 0.004 * (n + 1) * step) if n % 2 else (0.9 - 0.003 * (n + 1) * step), 0.15 + 0.2 * n)
        for n in range(people)
    ]


def test_each_thing_keeps_its_number_though_the_detector_trembles() -> None:
    tracker, rng, seen = Tracker(), np.random.default_rng(1), {}
    for step in range(20):
        truth = walk(step)
        shaken = tuple(
            box((b.left + b.right) / 2 + rng.normal(0, 0.002), (b.top + b.bottom) / 2 + rng.normal(0, 0.004))
            for b in truth
        )
        order = rng.permutation(len(shaken))
        answered = tracker.update(tuple(shaken[place] for place in order), step / 10)
        for place, one in zip(order, answered, strict=True):
            seen.setdefault(int(place), set()).add(one.track)
    assert sorted(len(numbers) for numbers in seen.values()) == [1, 1, 1, 1]
    assert len(set.union(*seen.values())) == 4


def test_between_two_answers_it_tells_where_things_are() -> None:
    tracker, apart = Tracker(), []
    for step in range(20):
        truth = walk(step)
        if step % 2 == 0:
            last = tracker.update(tuple(truth), step / 10)
            assert len(last) == len(truth)
        else:
            told = {one.track: one for one in tracker.predict(step / 10)}
            where = {one.track: truth[place] for place, one in enumerate(last)}
            if step > 3:
                apart += [overlap(told[number], where[number]) for number in where]
            assert [one.score for one in told.values()] == [0.8] * 4
    assert min(apart) > 0.95


def test_holding_boxes_in_place_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tracker, "_move", lambda self, at_s: setattr(self, "_at_s", at_s))
    with pytest.raises((AssertionError, KeyError)):
        test_between_two_answers_it_tells_where_things_are()


def test_classes_do_not_take_over_each_others_tracks() -> None:
    tracker = Tracker()
    (cat,) = tracker.update((box(0.5, 0.5, index=1),), 0.0)
    dog, ghost = tracker.update((box(0.5, 0.5, index=2),), 0.1)
    assert dog.track != cat.track
    assert (ghost.track, ghost.index) == (cat.track, 1)


def test_a_thing_missed_once_is_still_told_with_less_score_and_keeps_its_number() -> None:
    tracker = Tracker(Tracking(shown_misses=1, fade=0.5))
    (first,) = tracker.update((box(0.5, 0.5),), 0.0)
    (ghost,) = tracker.update((), 0.1)
    assert ghost.track == first.track and ghost.score == pytest.approx(0.4)
    assert tracker.predict(0.15) == (ghost,)
    assert tracker.update((), 0.2) == ()
    (again,) = tracker.update((box(0.5, 0.5),), 0.3)
    assert again.track == first.track


def test_a_thing_long_gone_is_another_one() -> None:
    tracker = Tracker(Tracking(keep_s=1.0))
    (first,) = tracker.update((box(0.5, 0.5),), 0.0)
    for step in range(1, 15):
        tracker.update((), step / 10)
    (later,) = tracker.update((box(0.5, 0.5),), 1.5)
    assert later.track != first.track


def test_at_a_slow_rate_a_track_outlives_the_pause() -> None:
    tracker = Tracker(Tracking(keep_s=1.0))
    numbers = {tracker.update((box(0.5, 0.5),), at_s)[0].track for at_s in (0.0, 5.0, 10.0)}
    assert len(numbers) == 1


def test_numbers_and_memory_do_not_pile_up_with_flicker() -> None:
    tracker, rng = Tracker(), np.random.default_rng(0)
    for step in range(200):
        tracker.update(tuple(box(*rng.uniform(0.1, 0.9, 2)) for _ in range(10)), step / 10)
    assert len(tracker._tracks) < 10 * 14


def test_what_stands_still_does_not_drift_on() -> None:
    tracker = Tracker()
    for step in range(6):
        (last,) = tracker.update((box(0.2 + 0.02 * step, 0.5),), step / 10)
    for step in range(6, 30):
        tracker.hold(step / 10)
    (told,) = tracker.predict(3.0)
    assert overlap(told, last) > 0.99
    (again,) = tracker.update((last,), 3.1)
    assert again.track == last.track


def test_predictions_stay_within_the_picture_and_finite() -> None:
    tracker = Tracker()
    for step in range(6):
        tracker.update((box(0.1 + 0.15 * step, 0.5),), step / 10)
    tracker.update((box(0.99, 0.5),), 0.5)  # the same moment again: no speed can be told from it
    for at_s in (0.6, 5.0, 100.0):
        for one in tracker.predict(at_s):
            assert 0 <= one.left <= one.right <= 1 and 0 <= one.top <= one.bottom <= 1
