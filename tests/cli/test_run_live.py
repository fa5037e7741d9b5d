"""`shoestring run` of videos and of images under the governor: real processes, real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from null_bundles import CHEAP, DEAR, make_null_bundle

cv2 = pytest.importorskip("cv2", reason="videos need opencv-python-headless")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "null.shoe"
    make_null_bundle(path)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(12):
        writer.write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    writer.release()
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(5):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def test_every_frame_of_a_video_is_answered_and_kept(cli, bundle, video, tmp_path):
    results, film, moves = tmp_path / "r.jsonl", tmp_path / "film.mp4", tmp_path / "moves.jsonl"
    said = cli("run", bundle, video, "--results", results, "--video", film, "--decisions", moves)
    assert said.code == 0, said.err
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    assert {line["by"] for line in lines} == {"model"}
    assert "12 frames" in said.err and "0 dropped" in said.err
    reread = cv2.VideoCapture(str(film))
    assert int(reread.get(cv2.CAP_PROP_FRAME_COUNT)) == 12
    told = cli("explain", moves)
    assert told.code == 0 and "came out the same" in told.err and "first choice" in told.out


def test_the_answers_are_those_of_a_plain_run(cli, bundle, photos, tmp_path):
    plain = cli("run", bundle, photos, "--json", "--rung", DEAR).data
    results = tmp_path / "r.jsonl"
    assert cli("run", bundle, photos, "--results", results, "--rung", DEAR).code == 0
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["name"] for line in lines] == [answer["file"] for answer in plain["answers"]]
    for line, answer in zip(lines, plain["answers"], strict=True):
        assert line["rung"] == DEAR
        assert line["answer"]["index"] == answer["top"][0]["index"]
        assert line["answer"]["score"] == pytest.approx(answer["top"][0]["score"], abs=1e-5)


def test_a_broken_picture_is_named_and_what_was_answered_is_kept(cli, bundle, photos, tmp_path):
    (photos / "2.png").write_bytes(b"no picture")
    results = tmp_path / "r.jsonl"
    said = cli("run", bundle, photos, "--results", results)
    assert said.code == 1 and "2.png" in said.err
    assert [Path(json.loads(line)["name"]).name for line in results.read_text().splitlines()] == ["0.png", "1.png"]


def test_json_is_a_line_a_result(cli, bundle, photos):
    said = cli("run", bundle, photos, "--json", "--fps", "1000")
    assert said.code == 0, said.err
    assert [Path(json.loads(line)["name"]).name for line in said.out.splitlines()] == [f"{n}.png" for n in range(5)]


def test_a_still_picture_is_held(cli, bundle, tmp_path):
    film, results = tmp_path / "still.avi", tmp_path / "r.jsonl"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for _ in range(6):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    assert cli("run", bundle, film, "--gate", "--results", results).code == 0
    by = [json.loads(line)["by"] for line in results.read_text().splitlines()]
    assert by == ["model", *["still"] * 5]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--fps", "0"], 2, "--fps 0 is outside"),
        (["--rung", "none", "--fps", "5"], 2, "none"),
        (["--celsius", "900"], 2, "900"),
        (["--fps", "5", "--latency", "5ms"], 2, "--latency does not go with the governor"),
        (["--fps", "5", "--chip", "no-such-board"], 2, "no-such-board"),
        (["--decisions", "/nowhere/moves.jsonl"], 1, "/nowhere"),
        (["--every", "3", "--fps", "5"], 2, "tracker"),
    ],
)
def test_what_makes_no_sense_is_refused(cli, bundle, photos, words, code, told):
    said = cli("run", bundle, photos, *words)
    assert said.code == code and told in said.err, said.err


def test_a_missing_source_is_named(cli, bundle, tmp_path):
    said = cli("run", bundle, tmp_path / "none.mp4")
    assert said.code == 1 and "none.mp4" in said.err


def test_a_rung_that_answers_otherwise_here_is_not_run(cli, tmp_path, photos):
    path = tmp_path / "wrong.shoe"
    make_null_bundle(path, wrong=(CHEAP,))
    results = tmp_path / "r.jsonl"
    said = cli("run", path, photos, "--fps", "1000", "--results", results)
    rungs = {json.loads(line)["rung"] for line in results.read_text().splitlines()}
    assert said.code == 0 and rungs and CHEAP not in rungs
