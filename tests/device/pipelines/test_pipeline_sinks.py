"""Sinks: lines of the schema that is written down, and videos that open again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from shoestring.base.errors import StorageError, UsageError
from shoestring.device.answers import to_answer
from shoestring.device.pipelines.nouns import Box, Frame, Result
from shoestring.device.pipelines.sinks import JsonLines, VideoSink, jsonl, result_line

BOX = Box(0.1, 0.2, 0.3, 0.6, 0, "person", 0.87654321, 3)
RESULT = Result(12, 100.0, 100.0417, "int8@native", "model", (BOX,))


def test_a_line_has_the_keys_and_kinds_that_are_written_down() -> None:
    answer = to_answer(np.array([0.0, 3.0]), ("cat", "dog"), probabilities=False, rung="fp32")
    line = json.loads(result_line(Result(1, 0, 0, "fp32", "model", (BOX,), answer, "a.jpg"), 5.0))
    assert list(line) == ["frame", "name", "time", "latency_ms", "rung", "by", "boxes", "answer"]
    assert list(line["boxes"][0]) == ["left", "top", "right", "bottom", "index", "label", "score", "track"]
    assert list(line["answer"]) == ["index", "label", "score", "stages", "top"]
    assert all(list(one) == ["index", "label", "score"] for one in line["answer"]["top"])
    for key in (*line, *line["boxes"][0], *line["answer"]):
        assert f'"{key}":' in (jsonl.__doc__ or "")


def test_values_are_those_of_the_result() -> None:
    line = json.loads(result_line(RESULT, 1790000000.1234))
    assert line == {
        "frame": 12,
        "name": "",
        "time": 1790000000.123,
        "latency_ms": 41.7,
        "rung": "int8@native",
        "by": "model",
        "boxes": [
            {
                "left": 0.1,
                "top": 0.2,
                "right": 0.3,
                "bottom": 0.6,
                "index": 0,
                "label": "person",
                "score": 0.87654,
                "track": 3,
            }
        ],
        "answer": None,
    }


def test_each_result_is_a_line_at_once_in_unix_time() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream, wall=lambda: 1000.0, monotonic=lambda: 101.0)
    sink.write(RESULT)
    assert stream.getvalue().count("\n") == 1 and json.loads(stream.getvalue())["time"] == 999.0
    sink.write(Result(13, 100.5, 100.6, "r", "still", (Box(0, 0, 1, 1, 1, "line\nbreak", 0.5),)))
    assert len(stream.getvalue().splitlines()) == 2


def test_a_stream_that_takes_no_more_is_a_storage_error() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream)
    stream.close()
    with pytest.raises(StorageError):
        sink.write(RESULT)
    full = Path("/dev/full").open("w")  # noqa: SIM115
    with pytest.raises(StorageError, match="space"):
        JsonLines(full).write(RESULT)
    with pytest.raises(OSError, match="space"):  # what it could not write is still there
        full.close()


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_an_annotated_video_opens_again_with_all_frames(tmp_path, name: str) -> None:
    cv2 = pytest.importorskip("cv2")
    with VideoSink(tmp_path / name, 12.5) as sink:
        for number, size in enumerate([(96, 128)] * 4 + [(48, 64)]):
            picture = np.full((*size, 3), 60, np.uint8)
            sink.write(Frame(number, 0.0, picture, size[::-1]), Result(number, 0, 0, "r", "model", (BOX,)))
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == 5 and frames[0].shape == (96, 128, 3)
    blue, green, red = frames[0][19:57, 12:14].reshape(-1, 3).mean(axis=0)  # the left side of the box: orange
    assert red > blue + 40 and red > green


def test_other_endings_rates_and_places_are_refused(tmp_path) -> None:
    pytest.importorskip("cv2")
    for path, rate in ((tmp_path / "x.gif", 10), (tmp_path / "x.mp4", 0), (tmp_path / "x.mp4", float("nan"))):
        with pytest.raises(UsageError):
            VideoSink(path, rate)
    with VideoSink(tmp_path / "none" / "x.avi", 10) as sink, pytest.raises(StorageError):
        sink.write(Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8), (64, 48)), RESULT)
