"""`run` and `serve` with a broker: who is told what, and that nobody is told anything unless asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brokers import Ear, Mosquitto, until
from null_bundles import make_null_bundle
from shoestring.bundle import open_bundle

pytest.importorskip("paho.mqtt.client", reason="publishing needs paho-mqtt")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "null.shoe"
    make_null_bundle(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(path)
    return path


def test_a_run_tells_the_broker_its_answers_and_that_it_went(cli, bundle, photo, tmp_path):
    with open_bundle(bundle) as opened:
        label = opened.manifest.labels[0]
    broker = Mosquitto(tmp_path).start()
    ear = Ear(broker.port)
    where = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--mqtt-name", "porch", "--watch", label)
    said = cli("run", bundle, photo, *where)
    assert said.code == 0, said.err
    until(lambda: ear.said("shoestring/porch/status")[-1:] == ["offline"], "no goodbye")
    assert json.loads(ear.said("shoestring/porch/answer")[0])["label"]
    assert len(ear.said("shoestring/porch/result")) == 1
    assert [topic for topic, *_ in ear.heard if topic.startswith("homeassistant/binary_sensor/")]
    ear.close()
    broker.kill()


def test_a_server_tells_the_broker_how_the_board_is(bundle, tmp_path):
    broker = Mosquitto(tmp_path).start()
    ear = Ear(broker.port)
    words = ("serve", bundle, "--port", "0", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--mqtt-name", "porch")
    process = subprocess.Popen([sys.executable, "-m", "shoestring.cli.main", *map(str, words)], stderr=subprocess.PIPE)
    try:
        until(lambda: ear.said("shoestring/porch/device"), "nothing was told")
        assert json.loads(ear.said("shoestring/porch/device")[0])["rung"].endswith("@null")
        assert process.stderr is not None
        until(lambda: b"page is at" in process.stderr.readline(), "it does not serve")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        until(lambda: ear.said("shoestring/porch/status") == ["online", "offline"], "no goodbye")
    finally:
        process.kill()
        process.communicate()
        ear.close()
        broker.kill()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--watch", "cat"), "--watch needs --mqtt"),
        (("--mqtt-name", "porch"), "--mqtt-name needs --mqtt"),
        (("--mqtt", "mqtt://a:geheim@home"), "holds a password"),
        (("--mqtt", "mqtt://home", "--watch", "unicorn"), "no class 'unicorn'"),
        (("--mqtt", "mqtt://home", "--mqtt-ca", "x.pem"), "need TLS"),
        (("--mqtt", "mqtt://home", "--mqtt-name", "a/b"), "cannot name"),
    ],
)
def test_what_makes_no_sense_is_refused(cli, bundle, photo, words, why):
    said = cli("run", bundle, photo, *words)
    assert said.code == 2 and why in said.err
    assert "geheim" not in said.err


def test_without_a_broker_the_package_is_not_even_loaded(bundle, photo):
    script = (
        "import sys; from shoestring.cli.main import main\n"
        f"code = main(['run', {str(bundle)!r}, {str(photo)!r}, '--fps', '50'])\n"
        "assert code == 0 and not [name for name in sys.modules if name.startswith('paho')]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=dict(os.environ), timeout=120)
