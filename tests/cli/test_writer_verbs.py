"""fit, inspect, verify, report and run with a model that writes text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from real_writers import make_real_parts
from shoestring.bundle import pack
from shoestring.bundle.bom import with_bom
from shoestring.cli.main import main
from text_bundles import RUNGS
from tiny_gguf import NARROW, tiny_gguf


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("writer")
    parts = make_real_parts(folder)
    manifest, blobs = with_bom(parts.manifest, parts.evidence, parts.blobs)
    pack(folder / "chat.shoe", manifest, blobs)
    return folder / "chat.shoe"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_a_prompt_is_answered_after_the_golden_texts(bundle, capsys):
    assert main(["run", str(bundle), "A dog", "--max-tokens", "5", "--rung", RUNGS[1], "--threads", "1", "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    (answer,) = told["answers"]
    assert told["rung"] == RUNGS[1]
    assert answer["prompt"] == "A dog"
    assert answer["usage"]["written_tokens"] == 5
    assert answer["finish"] == "length"
    assert "3 golden texts replayed" in said.err


def test_a_text_is_shown_and_is_the_same_each_time(bundle, capsys, tmp_path):
    (tmp_path / "prompt.txt").write_text("A dog")
    words = ["run", str(bundle), str(tmp_path / "prompt.txt"), "--max-tokens", "4", "--threads", "1"]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == first != "\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["", "--max-tokens", "4"], "empty"),
        (["A dog", "--cascade"], "cascade"),
        (["A dog", "--rung", "nothing"], "no rung 'nothing'"),
        (["A dog", "--max-tokens", "0"], "max_tokens is 0"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(bundle, capsys, words, told):
    assert main(["run", str(bundle), *words, "--threads", "1"]) == 2
    assert told in capsys.readouterr().err


def test_verify_and_report_know_such_bundles(bundle, capsys, tmp_path):
    assert main(["verify", str(bundle)]) == 0
    assert "every hash agrees" in capsys.readouterr().out
    assert main(["report", str(bundle), "-o", str(tmp_path / "chat.html")]) == 0
    page = (tmp_path / "chat.html").read_text()
    assert "tiny-writer" in page
    assert "nats a token" in page


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--runtimes", "native"], "--runtimes"),
        (["--student", "small.onnx"], "--student"),
        (["--max-drop", "1pt"], "no accuracy that could drop"),
        (["--max-kl", "-1"], "max_kl must be above zero"),
    ],
)
def test_options_of_images_say_nothing_about_it(tmp_path, capsys, option, told):
    model = tiny_gguf(tmp_path / "a.gguf", NARROW)
    assert main(["fit", str(model), "--data", str(tmp_path), *option]) == 2
    assert told in capsys.readouterr().err
