"""The worked examples run, and say what a reader is to take from them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brokers import Mosquitto
from null_bundles import CHEAP, DEAR, make_null_bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, a photo, and a film of 40 frames."""
    cv2 = pytest.importorskip("cv2", reason="films need opencv-python-headless")
    made = tmp_path_factory.mktemp("example")
    make_null_bundle(made / "a.shoe")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(made / "p.png")
    writer = cv2.VideoWriter(str(made / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    writer.release()
    return made


def example(name: str, *words: object, code: int = 0) -> str:
    command = [sys.executable, ROOT / "examples/device" / f"{name}.py", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_drone(folder):
    said = example("drone", folder / "a.shoe", "--minutes", 5, "--wh", 0.4, "--fps", 5)
    rows = {line[:16].strip(): line[16:].split() for line in said.splitlines()[2:]}
    assert {CHEAP, DEAR, "the governor"} <= set(rows)
    for minutes, frames, used, per_wh, right, _ in rows.values():
        assert float(minutes) > 4.9 and float(used) <= 0.4
        assert int(per_wh) == pytest.approx(int(frames) / float(used), rel=0.05)
        assert 0 < int(right) < int(per_wh)


def test_deadline(folder):
    said = example("deadline", folder / "a.shoe", folder / "film.avi", "--frames", 1000, "--budget-ms", 5000)
    assert said.startswith("1000 frames") and "0 later than 5000 ms: the budget holds" in said
    tight = example("deadline", folder / "a.shoe", folder / "film.avi", "--frames", 1000, "--budget-ms", 0.2, code=1)
    assert "does not hold" in tight
    example("deadline", folder / "a.shoe", folder / "film.avi", "--frames", 10, code=2)


def test_wakeup(folder):
    said = example("wakeup", folder / "a.shoe", folder / "p.png", "--sleep-watts", 0.05, "--every", 600, "--wh", 20)
    awake_s, watts = float(re.search(r"takes ([\d.]+) s", said)[1]), float(re.search(r"at ([\d.]+) W", said)[1])
    mean = float(re.search(r"mean ([\d.]+) W", said)[1])
    assert mean == pytest.approx(0.05 + (watts - 0.05) * awake_s / 600, abs=1e-3)


def test_home(folder, tmp_path):
    pytest.importorskip("paho.mqtt.client", reason="publishing needs paho-mqtt")
    broker = Mosquitto(tmp_path).start()
    said = example("home", folder / "a.shoe", folder / "film.avi", f"mqtt://127.0.0.1:{broker.port}", "--realtime")
    broker.kill()
    assert "status: online" in said and "answer: {" in said and said.rstrip().endswith("status: offline")
