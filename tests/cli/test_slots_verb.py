"""`shoestring slots`, and the slots that `run` and install-service take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from null_bundles import DEAR, make_null_bundle
from shoestring.bundle.signing import sign_bundle
from shoestring.cli import install_service_verb
from shoestring.cli.main import build_parser, main
from shoestring.trust.key_files import public_pem
from shoestring.trust.keys import generate
from slot_scenes import bring, make_bundles, make_slots, settle, sha256_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(path)
    return path


def slots_verb(*words: object) -> int:
    return main(["slots", *map(str, words)])


def shown(capsys: pytest.CaptureFixture[str], root: Path) -> dict[str, object]:
    capsys.readouterr()
    assert slots_verb(root, "--json") == 0
    said: dict[str, object] = json.loads(capsys.readouterr().out)
    return said


def test_a_device_from_its_first_bundle_to_a_rollback(tmp_path, bundles, capsys) -> None:
    root = tmp_path / "slots"
    assert slots_verb(root) == 0
    assert "no bundle is active" in capsys.readouterr().out
    assert slots_verb(root, "activate", bundles["one"]) == 4  # nobody said who is trusted
    assert "nobody said whose signature is trusted" in capsys.readouterr().err
    assert slots_verb(root, "activate", bundles["one"], "--allow-unsigned") == 0
    assert "on trial, started 0 of 3 times" in capsys.readouterr().out
    assert slots_verb(root, "rollback") == 4
    make_slots(root).begin()
    make_slots(root).confirm()
    assert slots_verb(root, "activate", bundles["two"], "--allow-unsigned") == 0
    assert slots_verb(root, "rollback") == 0
    said = capsys.readouterr().out
    assert f"active:   {sha256_of(bundles['one'])[:12]} mobilenet-cifar10 in slot a, good" in said
    assert f"refused:  {sha256_of(bundles['two'])[:12]} on " in said and "(revoked): somebody went back" in said
    assert slots_verb(root, "forget", sha256_of(bundles["two"])[:12]) == 0
    assert "refused" not in capsys.readouterr().out


def test_json_holds_all_of_it(tmp_path, bundles, capsys) -> None:
    slots = make_slots(tmp_path / "slots")
    assert shown(capsys, slots.root)["state"] == "empty"
    settle(slots, bundles["one"])
    bring(slots, bundles["two"])
    slots.fail("hung", "it slept")
    said = shown(capsys, slots.root)
    assert said["state"] == "good" and said["trouble"] is None and said["previous"] is None
    assert said["active"]["sha256"] == sha256_of(bundles["one"])
    assert [one["reason"] for one in said["refused"]] == ["hung"]
    (slots.root / "slots.json").write_bytes(b"junk")
    assert "what was good before" in shown(capsys, slots.root)["trouble"]


def test_a_bundle_that_answers_otherwise_ends_with_4(tmp_path, bundles, capsys) -> None:
    bad = tmp_path / "bad.shoe"
    make_null_bundle(bad, wrong=(DEAR,))
    settle(make_slots(tmp_path / "slots"), bundles["one"])
    assert slots_verb(tmp_path / "slots", "activate", bad, "--allow-unsigned") == 4
    assert "does not answer here as it must" in capsys.readouterr().err
    assert make_slots(tmp_path / "slots").begin().sha256 == sha256_of(bundles["one"])


def test_signed_bundles_need_their_people(tmp_path, bundles, capsys) -> None:
    owner, signed = generate("owner"), tmp_path / "signed.shoe"
    sign_bundle(bundles["one"], [owner], signed)
    (tmp_path / "owner.pub").write_text(public_pem(owner.public))
    policy = tmp_path / "trusted.toml"
    policy.write_text('threshold = 1\n[[key]]\nname = "owner"\nfile = "owner.pub"\n')
    assert slots_verb(tmp_path / "slots", "activate", bundles["one"], "--trusted", policy) == 4
    assert "is not signed" in capsys.readouterr().err
    assert slots_verb(tmp_path / "slots", "activate", signed, "--trusted", policy) == 0


@pytest.mark.parametrize(
    "words",
    [("dance",), ("activate",), ("rollback", "x"), ("show", "x"), ("forget",), ("forget", "abc")],
    ids=" ".join,
)
def test_words_that_make_no_sense(tmp_path, words) -> None:
    (tmp_path / "slots").mkdir()
    assert slots_verb(tmp_path / "slots", *words) == 2


def test_run_answers_from_slots_and_its_end_is_no_death(tmp_path, bundles, picture, capsys) -> None:
    slots = make_slots(tmp_path / "slots")
    bring(slots, bundles["one"])
    for _ in range(2):
        assert main(["run", "--slots", str(slots.root), str(picture)]) == 0
    assert slots.record().starts == 0
    assert "of slot a, on trial, start 1" in capsys.readouterr().err
    assert main(["run", "--slots", str(slots.root), "--trial-answers", "1", str(picture)]) == 0
    assert slots.record().state == "good"


def test_run_gives_up_a_trial_that_answers_otherwise(tmp_path, bundles, picture, capsys) -> None:
    bad, slots = tmp_path / "bad.shoe", make_slots(tmp_path / "slots")
    make_null_bundle(bad, wrong=("int8@null", "int8-float3@null", DEAR))
    settle(slots, bundles["one"])
    bring(slots, bad)
    assert main(["run", "--slots", str(slots.root), str(picture)]) == 4
    assert "the one before is active again" in capsys.readouterr().err
    assert main(["run", "--slots", str(slots.root), str(picture)]) == 0


def test_run_takes_one_of_the_two(tmp_path, bundles, picture) -> None:
    assert main(["run", str(bundles["one"])]) == 2
    assert main(["run", "--slots", str(tmp_path)]) == 2
    assert main(["run", "--trial-answers", "3", str(bundles["one"]), str(picture)]) == 2
    assert main(["serve", "--slots", str(tmp_path), str(bundles["one"])]) == 2
    assert main(["serve"]) == 2


def test_a_service_may_write_to_its_slots(tmp_path, bundles, capsys, monkeypatch) -> None:
    monkeypatch.setattr(install_service_verb, "HIDDEN", ("/hidden",))
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")
    slots = make_slots(tmp_path / "slots")

    def install(*words: object) -> int:
        return main(["install-service", "porch", "--print", *map(str, words)])

    assert install("--user", "porch", "--", "serve", "--slots", slots.root) == 2  # nothing tells how much memory
    settle(slots, bundles["one"])
    assert install("--user", "porch", "--", "serve", "--slots", slots.root) == 0
    assert f"ReadWritePaths={slots.root}\n" in capsys.readouterr().out
    assert install("--", "serve", "--slots", slots.root) == 2  # a user who exists only while it runs owns nothing there
    assert install("--memory-max", "1GB", "--", "run", "--slots", "slots", "/dev/video0") == 0
    said = capsys.readouterr().out
    assert "ReadWritePaths" not in said and "--slots slots /dev/video0" in said
    assert build_parser("run").parse_args(["run", "--slots", "slots", "/dev/video0"]).slots is not None
