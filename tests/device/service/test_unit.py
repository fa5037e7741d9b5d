"""The unit's text: read by systemd itself, and by a small reader of its rules."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.base.errors import UsageError
from shoestring.device.service.unit import NETWORKS, Service, command_line, quoted, unit_text

SERVICE = Service("porch", ("/usr/bin/python3", "-m", "shoestring.cli.main", "serve", "/srv/a.shoe"), 1 << 30)
ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}


def read_back(line: str) -> list[str]:
    """Words of `ExecStart=` as systemd.service(5) and systemd.syntax(7) say: quotes, escapes, `%%` and `$$`."""
    words: list[str] = []
    word: str | None = None
    inside = False
    letters = iter(line)
    for letter in letters:
        if letter == '"':
            inside, word = not inside, word or ""
        elif letter == "\\":
            kind = next(letters)
            found = chr(int(next(letters) + next(letters), 16)) if kind == "x" else ESCAPES[kind]
            word = (word or "") + found
        elif letter in " \t" and not inside:
            if word is not None:
                words.append(word)
            word = None
        elif letter in "%$":
            assert next(letters) == letter, "a specifier or a variable"
            word = (word or "") + letter
        else:
            assert letter >= " " and letter != "\x7f"
            word = (word or "") + letter
    assert not inside
    return words if word is None else [*words, word]


TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20)


@given(st.lists(TEXT | st.sampled_from(["", "%h", "$HOME", "${A}", "a b", '"', "\\", "\n", "';", "é%"]), max_size=4))
def test_every_word_comes_back_as_it_was(words):
    assert read_back(command_line(["/usr/bin/x", *words])) == ["/usr/bin/x", *words]


@pytest.mark.parametrize("broken", [lambda word: f'"{word}"', lambda word: word.replace(" ", "\\ "), repr])
def test_a_careless_way_to_quote_would_be_found(broken):
    hard = ['a "b" %h $HOME', "new\nline", "back\\slash"]
    for word in hard:
        try:
            if read_back(f"/usr/bin/x {broken(word)}") != ["/usr/bin/x", word]:
                return
        except (AssertionError, KeyError, StopIteration, ValueError):
            return
    pytest.fail("the check lets a careless way pass")


def test_what_no_unit_can_hold_is_refused():
    with pytest.raises(UsageError):
        quoted("a\0b")
    for wrong in (
        {"name": "a b"}, {"name": "../x"}, {"user": "Root "}, {"user": "a\nb"}, {"network": "some"},
        {"command": ("python3",)}, {"command": ("/opt/$A/python3",)},
        {"command": ('/opt/"a"/python3',)},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            replace(SERVICE, **wrong)


def lines(**more: object) -> set[str]:
    return set(unit_text(replace(SERVICE, **more)).splitlines())


def test_it_may_do_what_it_was_asked_for_and_no_more():
    plain = lines()
    assert {
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        "ProtectHome=yes",
    } <= plain
    assert {"CapabilityBoundingSet=", "MemoryMax=1073741824", "WatchdogSec=150", "Type=notify"} <= plain
    assert "DeviceAllow=char-video4linux rw" not in plain
    assert "DeviceAllow=char-video4linux rw" in lines(camera=True)
    assert "PrivateNetwork=yes" in lines(network="none")
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost"} <= lines(network="local")
    named = lines(user="pi", homes=True)
    assert {"User=pi", "ProtectHome=read-only"} <= named and "DynamicUser=yes" not in named
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in lines(low_port=True)


def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze (package systemd) is not installed")
    return found


def verified(folder: Path, service: Service, text: str | None = None) -> str:
    """What `systemd-analyze verify` has against it."""
    program, path = analyze(), folder / service.unit
    path.write_text(unit_text(service) if text is None else text)
    done = subprocess.run(
        [program, "verify", "--recursive-errors=no", path], capture_output=True, text=True, timeout=60
    )
    return "\n".join(line for line in done.stderr.splitlines() if "Failed to open /dev" not in line) + (
        f"\nexit {done.returncode}" if done.returncode else ""
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_systemd_has_nothing_against_it(tmp_path, network):
    for more in ({}, {"camera": True}, {"user": "root", "homes": True}, {"low_port": True}):
        assert verified(tmp_path, replace(SERVICE, network=network, **more)) == ""


def test_systemd_finds_a_program_whose_path_is_hard_to_write(tmp_path):
    program = tmp_path / "a b%h é" / "python3"
    program.parent.mkdir()
    program.symlink_to("/bin/true")
    service = replace(SERVICE, command=(str(program), "%h", "$HOME", "a b"))
    assert verified(tmp_path, service) == ""
    careless = unit_text(service).replace("%%", "%")
    assert "not executable" in verified(tmp_path, service, careless), "systemd would not notice"


def test_systemd_calls_it_safe(tmp_path):
    path = tmp_path / SERVICE.unit
    path.write_text(unit_text(replace(SERVICE, camera=True)))
    command = [analyze(), "security", "--offline=yes", "--threshold=20", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text("[Service]\nExecStart=/bin/true\n")
    assert subprocess.run(command, capture_output=True, timeout=60).returncode != 0, "the threshold catches nothing"
