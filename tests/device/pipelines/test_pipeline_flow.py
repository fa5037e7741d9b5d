"""The pipeline: who answers a frame, and that whoever does answers that one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from shoestring.base.errors import EngineFaultError, UsageError
from shoestring.device.pipelines.motion import Gating
from shoestring.device.pipelines.nouns import Frame
from shoestring.device.pipelines.pipeline import Pipeline, Reading, Sparing
from shoestring.device.pipelines.prepare import prepare
from shoestring.device.pipelines.track import Tracking
from shoestring.domain.head import Head, Part
from shoestring.domain.preprocess import Preprocess
from shoestring.inputs.image import pixels

SPEC = Preprocess(64, 64, "letterbox")
HEAD = Head("yolo-v8", (Part("out", (6, 1)),), 2)
READING = Reading(SPEC, ("person", "dog"), HEAD)
NO_TRACKS = Sparing(tracking=None)
QUICK = Sparing(every=2, tracking=Tracking(settled_sights=1))


def picture(x: int = 20) -> np.ndarray:
    """A white square on black."""
    frame = np.zeros((128, 128, 3), np.uint8)
    frame[40:72, x : x + 32] = 255
    return frame


def frame(number: int, x: int = 20) -> Frame:
    return Frame(number, number / 10, picture(x), (128, 128), f"{number}.png")


class Eye:
    """An engine that sees the bright square in its pixels, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.asked += 1
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        rows, columns = np.nonzero(image[:, :, 0] > 200)
        x, y = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
        return np.array([x, y, np.ptp(columns) + 1, np.ptp(rows) + 1, 0.9, 0.1], np.float32)


def test_each_frame_is_answered_by_the_model_unless_something_else_was_asked_for() -> None:
    eye, pipeline = Eye(), Pipeline(READING, NO_TRACKS, clock=lambda: 99.0)
    results = [pipeline.answer(frame(number, 20 + 3 * number), eye, "int8") for number in range(5)]
    assert [result.by for result in results] == ["model"] * 5 and eye.asked == 5
    assert [result.frame for result in results] == list(range(5))
    assert [result.name for result in results] == [f"{number}.png" for number in range(5)]
    assert results[3].arrived_s == 0.3 and results[3].answered_s == 99.0 and results[3].rung == "int8"
    for number, result in enumerate(results):
        (box,) = result.boxes
        assert box.label == "person" and box.track is None
        assert box.left == pytest.approx((20 + 3 * number) / 128, abs=0.02)


def test_every_other_frame_is_told_by_the_tracker_where_the_thing_is_by_then() -> None:
    eye, pipeline = Eye(), Pipeline(READING, QUICK)
    results = [pipeline.answer(frame(number, 20 + 4 * number), eye, "int8") for number in range(12)]
    assert [result.by for result in results] == ["model", "track"] * 6 and eye.asked == 6
    for number, result in enumerate(results):
        assert result.frame == number and result.arrived_s == number / 10 and result.rung == "int8"
        if number > 2:
            assert result.boxes[0].left == pytest.approx((20 + 4 * number) / 128, abs=0.02)
    assert {box.track for result in results for box in result.boxes} == {1}


def test_a_thing_that_came_just_now_is_not_left_to_the_tracker() -> None:
    eye, pipeline = Eye(), Pipeline(READING, Sparing(every=2, tracking=Tracking(settled_sights=4)))
    by = [pipeline.answer(frame(number, 20 + 2 * number), eye).by for number in range(10)]
    assert by == ["model"] * 4 + ["track", "model"] * 3
    far = [pipeline.answer(frame(number, 92), eye).by for number in range(10, 15)]  # another thing, for all it knows
    assert far[0] == "track" and far[1:] == ["model"] * 4


def test_a_film_moves_from_frame_to_frame_however_fast_it_is_worked_off() -> None:
    eye, pipeline = Eye(), Pipeline(READING, QUICK, rate=10.0)
    for number in range(12):
        at_s = 5 + number // 2 * 0.07 + number % 2 * 0.001  # the model takes long, the tracker nothing
        result = pipeline.answer(replace(frame(number, 20 + 4 * number), at_s=at_s), eye)
        if number > 2:
            assert result.boxes[0].left == pytest.approx((20 + 4 * number) / 128, abs=0.02)
    by_arrival = Pipeline(READING, QUICK)
    for number in range(12):
        at_s = 5 + number // 2 * 0.07 + number % 2 * 0.001
        result = by_arrival.answer(replace(frame(number, 20 + 4 * number), at_s=at_s), eye)
    assert result.boxes[0].left < (20 + 4 * 11) / 128 - 0.02  # what the rate is for


def test_while_nothing_moves_the_last_answer_holds_under_the_new_frame() -> None:
    eye, pipeline = Eye(), Pipeline(READING, Sparing(gate=Gating(force_s=0.55)))
    results = [pipeline.answer(frame(number), eye) for number in range(12)]
    assert [result.by for result in results] == ["model", *["still"] * 5] * 2 and eye.asked == 2
    assert all(result.boxes == results[0].boxes for result in results[:6])
    assert [result.frame for result in results] == list(range(12))
    moved = pipeline.answer(frame(12, x=60), eye)
    assert moved.by == "model" and moved.boxes[0].left == pytest.approx(60 / 128, abs=0.02)


def test_a_gate_that_never_opens_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoestring.device.pipelines.motion.MotionGate.still", lambda *_: True)
    with pytest.raises(AssertionError):
        test_while_nothing_moves_the_last_answer_holds_under_the_new_frame()


def test_a_frame_that_only_the_tracker_answers_is_not_even_decoded() -> None:
    class Sealed(Frame):
        @property
        def pixels(self):
            raise AssertionError("somebody looked")

        @pixels.setter
        def pixels(self, _): ...

    eye, pipeline = Eye(), Pipeline(READING, replace(QUICK, every=3))
    pipeline.answer(frame(0), eye)
    unseen = object.__new__(Sealed)
    for name, value in (("number", 1), ("at_s", 0.1), ("size", (128, 128)), ("name", "")):
        object.__setattr__(unseen, name, value)
    assert pipeline.answer(unseen, eye).by == "track"


def test_a_classifier_answers_with_labels_and_holds_them_while_nothing_moves() -> None:
    pipeline = Pipeline(Reading(SPEC, ("cat", "dog")), Sparing(gate=Gating()))
    first, second = (
        pipeline.answer(frame(number), lambda _: np.array([0.0, 2.0], np.float32), "fp32") for number in range(2)
    )
    assert first.answer is not None and first.answer.label == "dog" and first.answer.rung == "fp32"
    assert first.boxes == () and second.by == "still" and second.answer == first.answer


def test_a_failed_engine_leaves_the_next_frame_to_the_model() -> None:
    eye, pipeline = Eye(), Pipeline(READING, Sparing(every=4, gate=Gating()))
    with pytest.raises(EngineFaultError):
        pipeline.answer(frame(0), lambda _: np.full(6, np.nan, np.float32))
    assert pipeline.answer(frame(1), eye).by == "model"


def test_a_repeat_needs_an_answer_to_repeat() -> None:
    with pytest.raises(UsageError):
        Pipeline(READING).repeat(frame(0), "track")


@pytest.mark.parametrize(
    ("reading", "sparing"),
    [
        (READING, Sparing(every=0)),
        (READING, Sparing(every=2, tracking=None)),
        (replace(READING, head=None), Sparing(every=2)),
        (READING, Sparing(resizer="magic")),
    ],
)
def test_what_makes_no_sense_is_refused(reading: Reading, sparing: Sparing) -> None:
    with pytest.raises(UsageError):
        Pipeline(reading, sparing)


@pytest.mark.parametrize("spec", [SPEC, Preprocess(40, 64), Preprocess(48, 48, "shorter-side", 56, colour="bgr")])
def test_the_certified_resizer_is_that_of_the_certificate(spec: Preprocess) -> None:
    source = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert np.array_equal(prepare(source, spec), pixels(Image.fromarray(source), spec))


@pytest.mark.parametrize("size", [(70, 100), (240, 320), (480, 640), (40, 50)])
@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        Preprocess(40, 64),
        Preprocess(48, 48, "shorter-side", 56, colour="bgr"),
        Preprocess(48, 64, "letterbox", colour="grey", mean=(0.0,), std=(1.0,)),
    ],
)
def test_the_fast_resizer_shows_nearly_the_same(spec: Preprocess, size: tuple[int, int]) -> None:
    pytest.importorskip("cv2")
    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    source = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
    fast, certified = prepare(source, spec, "fast"), prepare(source, spec)
    assert fast.shape == certified.shape and fast.dtype == np.uint8
    assert np.abs(fast.astype(int) - certified).mean() < 3.5
