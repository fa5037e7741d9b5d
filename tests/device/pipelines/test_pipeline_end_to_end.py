"""A film goes in at one end, lines and an annotated film come out at the other; only the engine is made up."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from shoestring.device.pipelines.motion import Gating
from shoestring.device.pipelines.pipeline import Pipeline, Reading, Sparing
from shoestring.device.pipelines.sinks import JsonLines, VideoSink
from shoestring.device.pipelines.sources import open_source
from shoestring.domain.head import Head, Part
from shoestring.domain.preprocess import Preprocess
from shoestring.heads.found import overlaps

cv2 = pytest.importorskip("cv2")
WIDTH, HEIGHT, SIDE, FRAMES, MOVES = 160, 120, 24, 40, 20
SPEC = Preprocess(80, 80, "letterbox")
HEAD = Head("yolo-v5", (Part("out", (1, 6)),), 1)


def square(number: int) -> tuple[float, float, float, float]:
    """Corners of the bright square: it goes to the right for some frames and then stands."""
    x, y = 10 + 4 * min(number, MOVES), 50
    return x / WIDTH, y / HEIGHT, (x + SIDE) / WIDTH, (y + SIDE) / HEIGHT


def write_film(path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (WIDTH, HEIGHT))
    rng = np.random.default_rng(0)
    for number in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), 40.0)
        left, top, right, bottom = square(number)
        picture[round(top * HEIGHT) : round(bottom * HEIGHT), round(left * WIDTH) : round(right * WIDTH)] = 230
        writer.write(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    writer.release()


def eye(pixels: np.ndarray) -> np.ndarray:
    """Where the bright pixels are, in the rows of a YOLOv5."""
    rows, columns = np.nonzero(pixels[:, :, 0] > 180)
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, 1.0, 0.8], np.float32)


@pytest.mark.parametrize("resizer", ["certified", "fast"])
def test_from_a_film_to_lines_and_an_annotated_film(tmp_path, resizer: str) -> None:
    write_film(tmp_path / "in.avi")
    source = open_source([str(tmp_path / "in.avi")], SPEC)
    sparing = Sparing(every=2, gate=Gating(force_s=0.5), resizer=resizer)
    pipeline = Pipeline(Reading(SPEC, ("square",), HEAD), sparing, rate=source.rate)
    stream = io.StringIO()
    lines = JsonLines(stream)
    with VideoSink(tmp_path / "out.avi", source.rate or 0) as video:
        for frame in source:
            result = pipeline.answer(frame, eye, "int8")
            lines.write(result)
            video.write(frame, result)
    source.close()
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["frame"] for line in told] == list(range(FRAMES))
    assert {box["track"] for line in told for box in line["boxes"]} == {1}
    for line in told[3:]:
        (box,) = line["boxes"]
        corners = np.array([[box[side] for side in ("left", "top", "right", "bottom")]])
        assert overlaps(corners, np.array([square(line["frame"])]))[0, 0] > 0.75
    by = [line["by"] for line in told]
    assert set(by[:MOVES]) == {"model", "track"} and 11 <= by[:MOVES].count("model") <= 13
    assert by[MOVES + 2 :].count("still") >= 15 and by[MOVES + 2 :].count("model") <= 3
    out = cv2.VideoCapture(str(tmp_path / "out.avi"))
    assert int(out.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
