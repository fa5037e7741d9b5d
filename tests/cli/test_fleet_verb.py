"""The page about fleets, line by line; and what the verb says when it says no."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from fleet_reports import device, received
from fleets import device_in
from null_bundles import make_null_bundle
from shoestring.bundle.signing import sign_bundle
from shoestring.cli.fleet_verb import COMMANDS, EXAMPLES
from shoestring.cli.main import build_parser
from shoestring.fleet.collect.store import open_store
from shoestring.trust.key_files import public_pem
from shoestring.trust.keys import generate
from shoestring.trust.repository import Repository

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
ADA = generate("Ada")


def lines():
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two signed bundles, a policy and a list of devices."""
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        make_null_bundle(Path(f"camera-{number}.shoe"), busy_us=number)
        sign_bundle(Path(f"camera-{number}.shoe"), [ADA])
    Path("ada.pub").write_text(public_pem(ADA.public))
    Path("trusted.toml").write_text('[[key]]\nfile = "ada.pub"\n')
    Path("devices.txt").write_text(f"{device(1).public.key_id}\n")
    return tmp_path


def bad_reports(sha256):
    """What the first wave says about a bundle that fails on every tenth device."""
    store = open_store("fleet.sqlite", writing=True)
    for number in range(1, 101):
        failed = number % 10 == 0
        said = {"state": "rolled-back", "reason": "it crashed"} if failed else {"state": "good"}
        store.add([received(number, bundle_sha256=sha256, counter=2, **said)])
    store.close()


def runs(name="device"):
    root = Path("site/metadata/1.root.json").read_bytes()
    return Repository(Path(name), "site", root).release("porch", device_in(0)).bundle_sha256


def test_the_page_runs_line_by_line(cli, place):
    hashes = {number: hashlib.sha256(Path(f"camera-{number}.shoe").read_bytes()).hexdigest() for number in (1, 2)}
    words, said = {}, []
    for line in lines():
        line, _, note = line.partition(" # ")
        if (match := re.fullmatch(r"(\w+)=\$\(sha256sum (\S+) \| cut -c1-12\)", line.strip())) is not None:
            words[match[1]] = hashlib.sha256(Path(match[2]).read_bytes()).hexdigest()[:12]
            continue
        for name, value in words.items():
            line = line.replace(f"${name}", value)
        asked = shlex.split(line)[1:]
        if "collect" in asked:
            assert build_parser("fleet").parse_args(asked).command == "collect"
            bad_reports(hashes[2])  # what it would have taken
            continue
        done = cli(*asked)
        assert done.code == (3 if "ends with 3" in note else 0), done.err
        said.append(done)
        if "camera-2.shoe" in asked:
            assert runs() == hashes[2]
    assert runs() == hashes[1]
    halted = next(one for one in said if one.code == 3)
    assert "10 of 100 devices failed" in halted.err
    assert "it crashed (10)" in halted.err
    states = [one.out for one in said if one.out.startswith("role")]
    assert "porch has mobilenet-cifar10 in 1 % of its devices and is halted" in states[0]
    assert "next:" not in states[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_parse_and_end_the_help(cli, name):
    words = shlex.split(EXAMPLES[name])
    assert words[:3] == ["shoestring", "fleet", name]
    assert build_parser("fleet").parse_args(words[1:]).command == name
    said = cli("fleet", name, "--help")
    assert said.code == 0
    assert said.out.splitlines()[-2:] == ["example:", f"  {EXAMPLES[name]}"]
    assert "--json" in said.out


def test_every_command_speaks_json(cli, place):
    no = ("--no-passphrase",)
    assert cli("fleet", "init", "site", *no, "--json").data["root"] == "site/metadata/1.root.json"
    assert cli("fleet", "group", "site", "porch", "--json").data["waves"] == [1, 10, 100]
    publish = ("fleet", "publish", "site", "camera-1.shoe", "--group", "porch", "--trusted", "trusted.toml", "--json")
    assert cli(*publish).data["signed_by"] == [ADA.public.key_id]
    promoted = cli("fleet", "promote", "site", "--group", "porch", "--without-reports", "--json")
    assert promoted.data["per_cent"] == 10
    assert cli("fleet", "refresh", "site", "--json").data["due"] == {}
    status = cli("fleet", "status", "site", "--json").data["status"]
    assert [one["name"] for one in status["roles"]][:4] == ["root", "targets", "snapshot", "timestamp"]
    assert cli("keygen", "-o", "new.key", *no).code == 0
    added = cli("fleet", "add-key", "site", "porch.1", "new.key.pub", "--json").data
    assert "porch.1" in added["signed"]
    removed = cli("fleet", "remove-key", "site", "porch.1", "new.key.pub", "--json").data
    assert removed["key"] == added["key"]
    bad = hashlib.sha256(Path("camera-1.shoe").read_bytes()).hexdigest()
    said = cli("fleet", "revoke", "site", bad, "--json")
    assert (said.code, said.data["error"]) == (2, "UsageError")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("init", "site", "--keys", "site/keys", "--no-passphrase"), 2, "a web server hands to everybody"),
        (("init", "site"), 2, "no passphrase for"),
        (("status", "nothing"), 2, "no repository of a fleet"),
        (("promote", "site", "--group", "porch"), 2, "nobody would be asked"),
        (("group", "site", "../up"), 2, "cannot name a group"),
        (("group", "site", "porch", "--waves", "10,1,100"), 2, "not growing per cents"),
        (("group", "site", "porch", "--canary", "me"), 2, "not a device's id"),
        (("publish", "site", "camera-1.shoe", "--group", "porch"), 2, "required"),
        (("collect", "--db", "fleet.sqlite", "--host", "0.0.0.0"), 2, "open to others"),
        (("collect", "--db", "ftp://x"), 2, "cannot be kept"),
        (("collect",), 2, "--db"),
        ((), 2, "COMMAND"),
    ],
)
def test_it_says_no_in_words(cli, place, words, code, says):
    said = cli("fleet", *words)
    assert said.code == code
    assert says in said.err
    assert "Traceback" not in said.err


def test_an_unsigned_bundle_is_refused_with_4(cli, place):
    cli("fleet", "init", "site", "--no-passphrase")
    cli("fleet", "group", "site", "porch")
    cli("sign", "camera-1.shoe", "--strip")
    publish = ("fleet", "publish", "site", "camera-1.shoe", "--group", "porch")
    said = cli(*publish, "--trusted", "trusted.toml")
    assert (said.code, "is not published" in said.err) == (4, True)
    assert cli(*publish, "--allow-unsigned").code == 0


def test_keys_are_under_the_passphrase_of_the_environment(cli, place, monkeypatch):
    monkeypatch.setenv("SHOESTRING_PASSPHRASE", "correct horse battery")
    assert cli("fleet", "init", "site").code == 0
    assert "ENCRYPTED" in Path("site-keys/root").read_text()
    monkeypatch.setenv("SHOESTRING_PASSPHRASE", "wrong horse battery")
    said = cli("fleet", "refresh", "site")
    assert (said.code, "does not open" in said.err) == (4, True)
