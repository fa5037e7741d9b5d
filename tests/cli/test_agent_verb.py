"""`shoestring agent`, from a stick, and the unit that keeps it going."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from loopback_fleet import Site, until
from shoestring.base.errors import ShoestringError, StorageError, UnreachableError, UsageError
from shoestring.cli import agent_verb, install_service_verb
from shoestring.device.agent.starting import agent_folder
from shoestring.device.slots import Slots
from shoestring.device.slots.locking import alone
from shoestring.trust.key_files import load_private_key

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def agent(*words: object) -> int:
    parser = argparse.ArgumentParser()
    agent_verb.fill(parser)
    parser.add_argument("--json", action="store_true")
    return agent_verb.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def stick(tmp_path_factory) -> Site:
    site = Site(tmp_path_factory.mktemp("workshop"), "100")
    site.publish(site.bundle(1)[0])
    return site


def words_for(stick: Site, slots: Path) -> tuple[object, ...]:
    return ("--slots", slots, "--repository", stick.path, "--root", stick.root, "--group", "porch")


def test_a_device_has_an_id_that_stays(tmp_path, capsys):
    assert agent("--slots", tmp_path, "--show-id") == 0
    shown = capsys.readouterr().out.strip()
    assert agent("--slots", tmp_path, "--show-id", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"device": shown}
    path = tmp_path / "agent" / "device.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_private_key(path).public.key_id == shown


def test_from_a_stick_once(stick, tmp_path, capsys):
    """The golden set is replayed in processes of its own, as on a board."""
    slots = tmp_path / "slots"
    assert agent(*words_for(stick, slots), "--once", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["did"], shown["state"], shown["counter"]) == ("activated", "good", 1)
    held = Slots(slots).active()
    assert held is not None
    assert (held.sha256, held.state) == (stick.bundle(1)[1], "trial")
    assert agent(*words_for(stick, slots), "--once", "--json") == 0
    assert json.loads(capsys.readouterr().out)["did"] == "stayed"
    assert list((slots / "agent" / "reports").parent.glob("reports")) == [], "nobody asked for reports"


def test_a_stick_that_is_not_in(stick, tmp_path):
    with pytest.raises(UnreachableError):
        agent(
            "--slots", tmp_path, "--repository", tmp_path / "stick", "--root", stick.root, "--group", "porch", "--once"
        )


def test_a_changed_stick_is_bad_and_not_used(stick, tmp_path):
    import shutil

    copy = tmp_path / "stick"
    shutil.copytree(stick.path, copy)
    newest = copy / "metadata" / "timestamp.json"
    newest.write_bytes(newest.read_bytes().replace(b'"version"', b'"versiom"', 1))
    with pytest.raises(ShoestringError) as caught:
        agent("--slots", tmp_path / "s", "--repository", copy, "--root", stick.root, "--group", "porch", "--once")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("left_out", ["--repository", "--root", "--group"])
def test_what_must_be_named(stick, tmp_path, left_out):
    words = list(words_for(stick, tmp_path))
    at = words.index(left_out)
    with pytest.raises(UsageError, match=f"{left_out} is needed"):
        agent(*words[:at], *words[at + 2 :], "--once")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--every", "15"), "must be above zero, in s, m, h or d"),
        (("--every", "0s"), "must be above zero"),
        (("--every", "60d"), "is outside"),
        (("--report", "ftp://host/"), "cannot be sent to"),
        (("--report", "http://a:b@host/"), "not a plain address"),
        (("--group", "no group"), "not a plain word"),
    ],
)
def test_wishes_that_make_no_sense(stick, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        agent(*words_for(stick, tmp_path), *more, "--once")


def test_a_root_that_is_none(stick, tmp_path):
    (tmp_path / "root.json").write_bytes(b"{}")
    words = ("--slots", tmp_path / "s", "--repository", stick.path, "--group", "porch", "--once")
    with pytest.raises(ShoestringError) as caught:
        agent(*words, "--root", tmp_path / "root.json")
    assert caught.value.exit_code == 4
    with pytest.raises(StorageError):
        agent(*words, "--root", tmp_path / "missing.json")


def test_one_agent_at_a_time(stick, tmp_path):
    with alone(agent_folder(tmp_path), wait=False), pytest.raises(StorageError, match="another agent works"):
        agent(*words_for(stick, tmp_path), "--once")


def test_it_says_ready_and_ends_well_when_told_to(stick, tmp_path):
    """A service manager hears that it is up; SIGTERM ends it with 0."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(60.0)
        words = ["agent", *map(str, words_for(stick, tmp_path / "slots")), "--every", "7d"]
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONPATH": SOURCE}
        process = subprocess.Popen([sys.executable, "-m", "shoestring.cli.main", *words], env=environment)
        try:
            assert ear.recv(100) == b"READY=1"
            until(lambda: (tmp_path / "slots" / "agent" / "device.pem").exists(), "it did not start")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60.0) == 0
            assert ear.recv(100) == b"STOPPING=1"
        finally:
            process.kill()
            process.wait()


def install(*words: object) -> str:
    parser = argparse.ArgumentParser()
    install_service_verb.fill(parser)
    parser.add_argument("--json", action="store_true")
    install_service_verb.run(parser.parse_args(["porch-agent", "--print", *[str(word) for word in words]]))
    return ""


AGENT = ("agent", "--slots", "/srv/porch", "--root", "/etc/root.json", "--group", "porch", "--repository")


@pytest.fixture
def _system_python(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")


@pytest.mark.usefixtures("_system_python")
def test_the_unit_of_an_agent(capsys):
    install("--user", "shoe", "--memory-max", "1GB", "--", *AGENT, "https://fleet.example")
    text = capsys.readouterr().out
    assert "ExecStart=/usr/bin/python3 -P -m shoestring.cli.main agent --slots /srv/porch" in text
    assert "ReadWritePaths=/srv/porch\n" in text
    assert "User=shoe\n" in text
    assert "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n" in text
    assert "video4linux" not in text
    install("--user", "shoe", "--memory-max", "1GB", "--", *AGENT, "/media/stick")
    assert "PrivateNetwork=yes\n" in capsys.readouterr().out


@pytest.mark.usefixtures("_system_python")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--user", "shoe", "--", *AGENT, "https://fleet.example", "--once"), "a service goes on"),
        (("--user", "shoe", "--", *AGENT[:-1]), "needs --repository"),
        (("--", *AGENT, "https://fleet.example"), "no bundle yet"),
        (("--memory-max", "1GB", "--", *AGENT, "https://fleet.example"), "own user cannot write"),
        (("--user", "shoe", "--", "agent", "--slots", "porch", *AGENT[3:], "https://a.example"), "a server must reach"),
    ],
)
def test_units_that_make_no_sense(words, message):
    with pytest.raises(UsageError, match=message):
        install(*words)
