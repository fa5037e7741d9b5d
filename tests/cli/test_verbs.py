"""Every verb: help that ends with an example, data on stdout, words on stderr, exit codes."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

import tiny
from shoestring._version import __version__
from shoestring.bundle import open_bundle, pack
from shoestring.bundle.signing import sign_bundle
from shoestring.cli.main import VERBS, build_parser
from signers import ADA


def example(verb: str) -> str:
    text: str = import_module(f"shoestring.cli.{verb.replace('-', '_')}_verb").EXAMPLE
    return text


def test_the_help_names_every_verb_and_ends_with_an_example(cli):
    said = cli("--help")
    assert said.code == 0
    assert {line.split()[0] for line in said.out.splitlines() if line.startswith("    ") and line[4] != " "} == set(
        VERBS
    )
    assert said.out.splitlines()[-1].startswith("  shoestring fit ")


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_ends_with_an_example_that_its_parser_takes(cli, verb):
    said = cli(verb, "--help")
    assert said.code == 0
    assert said.out.splitlines()[-2:] == ["example:", f"  {example(verb)}"]
    words = shlex.split(example(verb))
    assert words[:2] == ["shoestring", verb]
    assert build_parser(verb).parse_args(words[1:]).verb == verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_json(cli, verb):
    assert "--json" in cli(verb, "--help").out


def test_the_version_loads_nothing_heavy():
    heavy = ("numpy", "onnx", "onnxruntime", "scipy", "rich", "PIL", "msgspec")
    code = (
        "import sys; from shoestring.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit as end: assert not end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"shoestring {__version__}\n"
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("fit",),
        ("fit", "model.onnx"),
        ("fit", "model.onnx", "--data", "photos", "--threads", "many"),
        ("inspect", "model.onnx", "--unknown"),
        ("report", "camera.shoe"),
        ("run", "camera.shoe"),
    ],
)
def test_wrong_words_exit_with_2_and_point_to_the_help(cli, words):
    said = cli(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ") and "\n  hint: " in said.err and said.err.endswith("--help\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("fit", "{none}", "--data", "{none}"), 1),
        (("inspect", "{none}"), 1),
        (("bench", "{none}"), 1),
        (("run", "{none}", "{none}"), 1),
        (("report", "{none}", "-o", "{none}.html"), 1),
    ],
)
def test_a_missing_file_is_one_error_with_a_hint(cli, tmp_path, words, code):
    none = tmp_path / "none"
    said = cli(*(word.format(none=none) for word in words))
    assert said.code == code
    assert said.out == ""
    assert str(none) in said.err and "  hint: " in said.err and "Traceback" not in said.err
    assert not any(tmp_path.iterdir())


def test_fit_prints_the_table_and_says_what_it_did(cli, task, known, tmp_path):
    out = tmp_path / "a.shoe"
    said = cli("fit", task.model, "--data", task.data, "--max-drop", "5pt", "-o", out)
    assert said.code == 0, said.err
    marks = {line.split()[1]: line[0] for line in said.out.splitlines() if line[0] in "*+-"}
    assert marks == {"fp16-weights": "*", "int8": "+", "fp32": "+", "int8-float1": "-"}
    assert "top-1 drop at most 5.00 pt at 95 %, n = 260" in said.out
    for words in ("pre-processing proposed (0..1 RGB", "40 images to calibrate, 100 to select, 260 to certify"):
        assert words in said.err
    assert said.err.endswith(f"chosen: fp16-weights; wrote {out}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.shoe"]


def test_fit_without_an_output_writes_nothing(cli, task, known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = cli("fit", task.model, "--data", task.data)
    assert said.code == 0 and said.err.endswith("chosen: fp16-weights\n")
    assert not any(tmp_path.iterdir())


def test_fit_json(cli, task, known, tmp_path):
    said = cli("fit", task.model, "--data", task.data, "--max-drop", "5pt", "-o", tmp_path / "a.shoe", "--json")
    assert said.code == 0
    assert said.data["chosen"] == "fp16-weights"
    assert said.data["bundle"] == str(tmp_path / "a.shoe")
    assert said.data["preprocess"]["height"] == tiny.SIZE
    rows = {row["candidate"]: row for row in said.data["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "fp16-weights": "chosen",
        "int8": "rung",
        "fp32": "rung",
        "int8-float1": "rejected",
    }
    assert rows["int8"]["latency_ms"] == min(tiny.KNOWN_MS["int8"] / count for count in (1, rows["int8"]["threads"]))
    assert rows["int8"]["memory_bytes"] == tiny.KNOWN_RSS_BYTES["int8"]
    assert rows["fp32"]["metric"] == "top-1" and rows["fp32"]["value"] > 0.9


def test_measured_costs_are_ordered_and_complete(measured):
    with open_bundle(measured) as bundle:
        ladder = bundle.manifest.ladder
    for candidate in (*(rung.candidate for rung in ladder.rungs), *(item.candidate for item in ladder.rejected)):
        assert candidate.cost.peak_rss_bytes > 10_000_000
        for timing in candidate.cost.timings:
            assert 0 < timing.low_ms <= timing.median_ms <= timing.high_ms and timing.runs >= 15
    latencies = [rung.candidate.cost.at(None).median_ms for rung in ladder.rungs]
    assert latencies == sorted(latencies)


def test_inspect_a_model(cli, task):
    said = cli("inspect", task.model, "--layers")
    assert said.code == 0
    # conv1: 16 x 16 x 16 outputs of 27 products; conv2: 32 x 8 x 8 of 144; head: 32 x 3
    assert said.out.count("Conv") >= 2 and "MACs" in said.out
    data = cli("inspect", task.model, "--json").data
    first, second = tiny.WIDTHS
    macs = 27 * first * tiny.SIZE**2 + 9 * first * second * (tiny.SIZE // 2) ** 2 + second * len(tiny.CLASSES)
    assert sum(layer["macs"] for layer in data["layers"] if layer["operator"] in ("Conv", "Gemm")) == macs
    assert data["inputs"][0]["shape"] == [None, 3, tiny.SIZE, tiny.SIZE]
    assert data["operators"]["Conv"] == 2


def test_inspect_a_bundle_recomputes_its_certificates(cli, measured):
    said = cli("inspect", measured)
    assert said.code == 0 and said.err == ""
    with open_bundle(measured) as bundle:
        certificates = [rung for rung in bundle.manifest.ladder.rungs if rung.certificate is not None]
        chosen = bundle.manifest.ladder.chosen
    assert f"every hash agrees; {len(certificates)} certificate(s) recomputed from the evidence" in said.out
    data = cli("inspect", measured, "--json").data
    assert data["checked"] == len(certificates)
    assert data["manifest"]["ladder"]["chosen"] == chosen


def test_inspect_shows_who_signed(cli, measured, tmp_path):
    assert "\nnot signed\n" in cli("inspect", measured).out
    identity = sign_bundle(measured, [ADA], tmp_path / "signed.shoe").key_ids[0]
    assert f"signatures of {identity[:16]}, not checked" in cli("inspect", tmp_path / "signed.shoe").out
    assert cli("inspect", tmp_path / "signed.shoe", "--json").data["signatures"] == [identity]


def test_inspect_shows_what_each_file_takes(cli, measured):
    said, data = cli("inspect", measured), cli("inspect", measured, "--json").data
    assert data["bundle_bytes"] == measured.stat().st_size
    stored = sum(file["stored_bytes"] for file in data["files"])
    assert 0 < data["bundle_bytes"] - stored < 40_000  # manifest and records
    assert {file["what"] for file in data["files"]} >= {"fp32", "evidence", "golden inputs", "golden outputs of fp32"}
    assert {file["form"] for file in data["files"]} <= {"as it is", "deflate", "planes"}
    (evidence,) = [file for file in data["files"] if file["what"] == "evidence"]
    assert evidence["form"] == "deflate" and evidence["stored_bytes"] < evidence["size_bytes"] / 2
    assert "the bundle" in said.out and "deflate" in said.out


def test_delta_and_patch_give_the_new_bundle(cli, measured, tmp_path):
    with open_bundle(measured) as bundle:
        content = {blob.sha256: bundle.read(blob.sha256) for blob in bundle.manifest.blobs}
        pack(tmp_path / "new.shoe", replace(bundle.manifest, name="other"), content)
    said = cli("delta", measured, tmp_path / "new.shoe", "-o", tmp_path / "up.delta")
    assert said.code == 0 and "unchanged" in said.out and "of the new bundle" in said.out
    data = cli("delta", measured, tmp_path / "new.shoe", "-o", tmp_path / "up.delta", "--json").data
    assert data["delta_bytes"] == (tmp_path / "up.delta").stat().st_size < 3_000
    done = cli("patch", measured, tmp_path / "up.delta", "-o", tmp_path / "made.shoe", "--json")
    assert done.code == 0
    assert (tmp_path / "made.shoe").read_bytes() == (tmp_path / "new.shoe").read_bytes()
    assert done.data["sha256"] == hashlib.sha256((tmp_path / "new.shoe").read_bytes()).hexdigest()
    assert "every byte verified" in cli("patch", measured, tmp_path / "up.delta", "-o", tmp_path / "made.shoe").err
    wrong = cli("patch", tmp_path / "new.shoe", tmp_path / "up.delta", "-o", tmp_path / "x.shoe")
    assert wrong.code == 4 and "the delta is for the bundle" in wrong.err and not (tmp_path / "x.shoe").exists()


def test_run_answers_files_and_folders(cli, measured, task):
    one = task.data / "red" / "0002.png"
    said = cli("run", measured, one)
    assert said.code == 0
    assert said.out.startswith(f"{one}: red ") and said.out.count("\n") == 1
    assert "golden inputs replayed" in said.err
    data = cli("run", measured, task.data / "green", "--top", "2", "--json").data
    assert len(data["answers"]) == len(list((task.data / "green").iterdir()))
    right = [answer["top"][0]["label"] == "green" for answer in data["answers"]]
    assert sum(right) / len(right) > 0.85
    assert all(len(answer["top"]) == 2 for answer in data["answers"])


def test_run_takes_a_rung_by_name_or_by_latency(cli, measured, task):
    image = task.wild / "0000.png"
    assert cli("run", measured, image, "--rung", "fp32", "--threads", "1", "--json").data["rung"] == "fp32"
    assert cli("run", measured, image, "--latency", "10s", "--json").code == 0
    none = cli("run", measured, image, "--rung", "int4")
    assert none.code == 2 and "there is no rung 'int4'" in none.err and "fp32" in none.err
    slow = cli("run", measured, image, "--latency", "0.001us")
    assert slow.code == 3 and "no rung answers within" in slow.err and "to be had" in slow.err
    assert cli("run", measured, image, "--top", "0").code == 2


def test_bench_a_model(cli, task, tmp_path, quick):
    target = tmp_path / "bench.json"
    said = cli("bench", task.model, "--seconds", "0.02", "--threads", "1", "--export-json", target, "--json")
    assert said.code == 0
    assert said.data == json.loads(target.read_text())
    (timing,) = said.data["costs"]["tiny.onnx"]["timings"]
    assert timing["threads"] == 1 and timing["ratio_to_original"] == 1.0 and timing["runs"] >= 15
    assert said.data["costs"]["tiny.onnx"]["size_bytes"] == task.model.stat().st_size


def test_bench_a_bundle_measures_every_rung(cli, measured, quick):
    said = cli("bench", measured, "--seconds", "0.02", "--threads", "1")
    assert said.code == 0
    with open_bundle(measured) as bundle:
        names = [rung.name for rung in bundle.manifest.ladder.rungs]
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == names
    assert "artefacts side by side" in said.err


@pytest.mark.parametrize("threads", ["0", "one", "1,,2", "", "²", "-1"])
def test_bench_refuses_thread_counts_that_are_none(cli, task, threads):
    said = cli("bench", task.model, f"--threads={threads}")
    assert said.code == 2 and "is not a list of counts" in said.err


def test_report_writes_one_page(cli, measured, tmp_path):
    page = tmp_path / "page.html"
    said = cli("report", measured, "-o", page, "--json")
    assert said.code == 0
    assert said.data == {"page": str(page), "size_bytes": page.stat().st_size}
    text = page.read_text()
    assert text.lower().startswith("<!doctype html>") and "fp32" in text
    assert "<script src" not in text and "<link" not in text
    again = cli("report", measured, "-o", page)
    assert again.out == "" and again.err == f"wrote {page}\n"


def test_a_tampered_bundle_exits_with_4(cli, measured, tmp_path):
    data = bytearray(measured.read_bytes())
    data[len(data) // 2] ^= 1
    broken = tmp_path / "broken.shoe"
    broken.write_bytes(data)
    for words in (("inspect",), ("run", task_image(tmp_path)), ("bench",), ("report", "-o", tmp_path / "x.html")):
        said = cli(words[0], broken, *words[1:], "--json")
        assert said.code == 4, words
        assert said.data["error"] == "BundleError" and said.err.startswith("error: ")
    assert not (tmp_path / "x.html").exists()


def task_image(folder: Path) -> Path:
    path = folder / "grey.png"
    Image.new("RGB", (tiny.SIZE, tiny.SIZE), (90, 90, 90)).save(path)
    return path
