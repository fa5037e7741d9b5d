"""`shoestring serve` as a process: it listens, answers, shows its source, and ends in good order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from null_bundles import make_null_bundle

pytest.importorskip("uvicorn", reason="serving needs uvicorn")
START_S = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "null.shoe"
    make_null_bundle(path)
    return path


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def served(
    bundle: Path, *words: object, environment: dict[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    port = free_port()
    command = [sys.executable, "-m", "shoestring.cli.main", "serve", bundle, "--port", port, *words]
    process = subprocess.Popen(
        [str(word) for word in command], stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    )
    try:
        assert process.stderr is not None
        begun = time.monotonic()
        while "page is at" not in (line := process.stderr.readline()):
            assert line and time.monotonic() - begun < START_S, line
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def get(url: str, data: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def test_it_answers_pictures_and_ends_with_zero(bundle, tmp_path):
    picture = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(picture)
    with served(bundle, "--fps", 1000) as (url, process):
        assert get(f"{url}/v2/health/ready") is not None
        said = json.loads(get(f"{url}/v1/classify", picture.read_bytes(), content_type="image/png"))
        assert said["label"] and said["rung"].endswith("@null")
        assert b"shoestring_" in get(f"{url}/metrics")
    assert process.returncode == 0


def test_a_source_runs_beside_the_requests_and_the_page_shows_it(bundle, tmp_path):
    folder, moves = tmp_path / "photos", tmp_path / "moves.jsonl"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(20):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    with served(bundle, "--source", folder, "--fps", 50, "--decisions", moves) as (url, process):
        begun = time.monotonic()
        while (state := json.loads(get(f"{url}/v1/state")))["counts"]["answered"] < 20:
            assert time.monotonic() - begun < START_S
            time.sleep(0.05)
        assert state["temperature"]["limit"] == 80 and state["rung"].endswith("@null")
        assert get(f"{url}/picture.jpg").startswith(b"\xff\xd8")
        while not any(one["what"] == "source" for one in json.loads(get(f"{url}/v1/state"))["troubles"]):
            assert time.monotonic() - begun < START_S
            time.sleep(0.05)
    assert process.returncode == 0
    assert '"kind":"stop"' in moves.read_text().splitlines()[-1]


def test_who_has_no_token_gets_nothing(bundle):
    with served(bundle, environment={"SHOESTRING_TOKEN": "x" * 40}) as (url, _):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{url}/v2")
        assert refused.value.code == 401
        assert json.loads(get(f"{url}/v2", authorization=f"Bearer {'x' * 40}"))["name"] == "shoestring"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "0.0.0.0"), "without tokens"),
        (("--port", "70000"), "port 70000"),
        (("--certificate", "none.pem"), "certificate"),
        (("--rung", "none"), "none"),
    ],
)
def test_what_is_unsafe_or_makes_no_sense_is_refused(cli, bundle, words, told):
    said = cli("serve", bundle, *words)
    assert said.code == 2 and told in said.err, said.err


def test_a_token_is_made_and_its_line_is_read_back(cli, bundle, tmp_path):
    token, line = cli("serve", "--new-token", "phone").out.splitlines()
    tokens = tmp_path / "tokens"
    tokens.write_text(line + "\n")
    assert token not in line
    with served(bundle, "--tokens", tokens) as (url, _):
        assert json.loads(get(f"{url}/v2", authorization=f"Bearer {token}"))["name"] == "shoestring"
