"""`shoestring install-service`, and that what it installs says READY, lives, and says that it ends."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from null_bundles import make_null_bundle
from shoestring.base.errors import UsageError
from shoestring.cli import install_service_verb as verb


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "null.shoe"
    make_null_bundle(path)
    return path


def install(*words: object) -> int:
    parser = argparse.ArgumentParser()
    verb.fill(parser)
    parser.add_argument("--json", action="store_true")
    return verb.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter of these tests may lie in a home; their bundle lies under /tmp, which counts as /hidden here."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr(verb, "HIDDEN", ("/hidden",))


def test_it_writes_a_unit_with_the_words_given(bundle, tmp_path, capsys):
    (tmp_path / verb.FOLDER).mkdir(parents=True)
    assert install("porch", "--root", tmp_path, "--", "serve", bundle, "--celsius", 70, "--port", 80) == 0
    text = (tmp_path / "etc/systemd/system/shoestring-porch.service").read_text()
    assert f"ExecStart=/usr/bin/python3 -P -m shoestring.cli.main serve {bundle} --celsius 70 --port 80\n" in text
    assert "IPAddressAllow=localhost" in text and "CAP_NET_BIND_SERVICE" in text
    assert "enable --now shoestring-porch.service" in capsys.readouterr().err


def test_it_only_shows_it_when_asked_to(bundle, tmp_path, capsys):
    words = ("porch", "--print", "--root", tmp_path, "--memory-max", "700MB", "--", "run", bundle, "/dev/video0")
    assert install(*words) == 0
    text = capsys.readouterr().out
    assert "MemoryMax=700000000\n" in text and "PrivateNetwork=yes" in text and "char-video4linux" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "network"),
    [
        (("run", "BUNDLE", "/dev/video0", "--mqtt", "mqtt://home"), "open"),
        (("run", "BUNDLE", "rtsp://camera/1"), "open"),
        (("serve", "BUNDLE", "--host", "0.0.0.0", "--insecure"), "open"),
        (("serve", "BUNDLE"), "local"),
        (("run", "BUNDLE", "/srv/film.mp4"), "none"),
    ],
)
def test_the_network_is_what_the_words_need(bundle, capsys, words, network):
    install("porch", "--print", "--", *(bundle if word == "BUNDLE" else word for word in words))
    text = capsys.readouterr().out
    found = "none" if "PrivateNetwork=yes" in text else "local" if "IPAddressDeny=any" in text else "open"
    assert found == network


def test_what_the_service_could_not_find_is_refused(bundle, monkeypatch):
    for words, why in (
        (("serve", "/hidden/a.shoe"), "own one of"),
        (("serve", "/home/pi/a.shoe"), "in a home"),
        (("serve",), "no bundle"),
        (("fit", bundle), "not 'fit'"),
    ):
        with pytest.raises(UsageError, match=why):
            install("porch", "--print", "--", *words)
    monkeypatch.chdir(bundle.parent)
    with pytest.raises(UsageError, match="starts elsewhere"):
        install("porch", "--print", "--", "serve", bundle.name)
    with pytest.raises(SystemExit):
        install("porch", "--print", "--", "serve", bundle, "--cellsius", 70)


@pytest.mark.parametrize("word", ["run", "serve"])
def test_what_it_installs_tells_the_service_manager_that_it_lives(bundle, tmp_path, word, monkeypatch):
    monkeypatch.undo()
    photos = [tmp_path / f"{number}.png" for number in range(12)]
    for photo in photos:
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(photo)
    words = ["run", bundle, *photos, "--fps", "4"] if word == "run" else ["serve", bundle, "--port", "0"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(60.0)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
        command = [sys.executable, "-m", "shoestring.cli.main", *map(str, words)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            heard = [ear.recv(100).decode()]
            while heard[-1] != "STOPPING=1":
                heard.append(ear.recv(100).decode())
                after = heard[heard.index("READY=1") :] if "READY=1" in heard else []
                if word == "serve" and heard[-1] == "WATCHDOG=1" and after.count("WATCHDOG=1") == 2:
                    process.send_signal(signal.SIGTERM)
            assert after.count("WATCHDOG=1") >= 2, heard
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
