"""Compiled programs as candidates. The compiler is replaced by one that answers with a program written by hand."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import handmade
import tiny
from shoestring._version import __version__
from shoestring.base.errors import ChildError, MissingExtraError, ModelError, UsageError
from shoestring.bundle import open_bundle
from shoestring.bundle.recheck import recheck_counts
from shoestring.cli.main import main
from shoestring.costmodel import interleave
from shoestring.device import Player
from shoestring.domain.budget import Budget
from shoestring.fitting import fit, programs, tried, workbench
from shoestring.fitting.recheck import recheck
from shoestring.native import compiling
from shoestring.report import render
from shoestring.runtimes import registry

BUDGET = Budget(max_drop=0.05, threads=1)
BOTH = ("onnxruntime", "native")
NATIVE_MS = {"fp32@native": 3.0, "int8@native": 0.5, "int8-float1@native": 0.7}


class Compiler:
    """Stands in for `shoestring.native.compiling`.

    Attributes:
        calls: name and threads of every call.
        error: raised instead of compiling, or None.
        only: number of the one call that fails; 0 for all.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.error: Exception | None = None
        self.only = 0

    def compile_library(self, model: Path, name: str, target: object, threads: int, out: Path, cc: str | None = None):
        self.calls.append((name, threads))
        if self.error is not None and (not self.only or len(self.calls) == self.only):
            raise self.error
        # what follows the end of a library changes its hash and nothing else
        out.write_bytes(handmade.build("COLOURS", "MAX_THREADS=64") + hashlib.sha256(model.read_bytes()).digest())


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    made = Compiler()
    found = SimpleNamespace(command=("imaginary-cc",), version=lambda: "imaginary cc 1.0")
    monkeypatch.setitem(
        sys.modules, "shoestring.native.compiling", SimpleNamespace(compile_library=made.compile_library)
    )
    monkeypatch.setattr(programs, "find_compiler", lambda target: found)
    for name, median in NATIVE_MS.items():
        monkeypatch.setitem(tiny.KNOWN_MS, name, median)
        monkeypatch.setitem(tiny.KNOWN_RSS_BYTES, name, 40_000_000)
    return made


@pytest.fixture
def fitted(task, warm, compiler):
    return fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=warm)


@pytest.fixture
def bundle(fitted, tmp_path) -> Path:
    path = tmp_path / "native.shoe"
    fitted.save(path)
    return path


def test_every_recipe_but_fp16_is_tried_on_both_runtimes(fitted):
    names = {row["candidate"] for row in fitted.rows()}
    assert names == {"fp32", "fp16-weights", "int8", "int8-float1", *NATIVE_MS}
    assert {row["runtime"] for row in fitted.rows() if "@" in row["candidate"]} == {"native"}
    assert fitted.ladder.chosen == "int8@native"
    (reference,) = [rung.name for rung in fitted.ladder.rungs if rung.certificate is None]
    assert reference == "fp32", "a compiled fp32 is no reference: it has to be certified"


def test_the_certificate_is_of_the_program(fitted):
    rung = fitted.ladder.rung("int8@native")
    certificate = rung.certificate
    assert certificate is not None
    assert (certificate.runtime, certificate.runtime_version) == ("native", f"1+{__version__}")
    assert certificate.isa == fitted.evidence.machine.isa
    blob = fitted.blobs[certificate.artefact_sha256]
    assert isinstance(blob, Path) and blob.read_bytes()[:4] == b"\x7fELF"
    assert fitted.evidence.versions["native"] == f"1+{__version__}"
    assert rung.candidate.notes[-1].startswith("compiled for ") and "imaginary cc 1.0" in rung.candidate.notes[-1]
    assert recheck(fitted.manifest, fitted.evidence) == len(fitted.ladder.rungs) - 1


def test_its_traces_are_the_programs_own_answers(fitted, task):
    files = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in task.data.rglob("*.png")}
    for split in ("selection", "certification"):
        images = [files[image] for image in fitted.evidence.split(split).images]
        means = np.stack([np.asarray(Image.open(path), np.float64).mean(axis=(0, 1))[::-1] for path in images])
        firsts = [top[0] for top in fitted.evidence.trace("int8@native", split).top]
        assert (means.argmax(axis=1) == firsts).all()
        assert firsts != [top[0] for top in fitted.evidence.trace("int8", split).top]


def test_threads_and_name_reach_the_compiler(fitted, compiler):
    assert len(compiler.calls) in (0, 3)  # none when an earlier test has filled the cache
    assert all(call == ("tiny", fitted.evidence.machine.cores) for call in compiler.calls)


def test_a_repeated_fit_compiles_nothing_and_gives_the_same_bytes(task, warm, bundle, compiler, tmp_path):
    compiler.calls.clear()
    fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, out=tmp_path / "again.shoe", cache=warm)
    assert compiler.calls == []
    assert (tmp_path / "again.shoe").read_bytes() == bundle.read_bytes()


def test_another_compiler_or_other_sources_compile_again(task, fitted, warm, compiler, monkeypatch):
    compiler.calls.clear()
    with monkeypatch.context() as patch:
        honest = programs.sources_digest
        patch.setattr(programs, "sources_digest", lambda room: "0" * 64 if room == "native" else honest(room))
        fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=warm)
    assert len(compiler.calls) == 3
    other = SimpleNamespace(command=("imaginary-cc",), version=lambda: "imaginary cc 2.0")
    monkeypatch.setattr(programs, "find_compiler", lambda target: other)
    fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=warm)
    assert len(compiler.calls) == 6


@pytest.mark.parametrize("error", [ModelError("operator 'Einsum' of n7 is not compiled"), ChildError("cc failed")])
def test_what_cannot_be_compiled_is_named_once_and_the_rest_goes_on(task, tmp_path, compiler, error):
    compiler.error = error
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, limit=200, cache=tmp_path / "cache")
    assert not any("@" in row["candidate"] for row in fitted.rows())
    (note,) = [note for note in fitted.notes if "not compiled" in note]
    assert note == f"not compiled: fp32, int8, int8-float1: {error.message}"
    assert not list((tmp_path / "cache" / "programs").iterdir())


def test_one_that_cannot_be_compiled_leaves_the_others(task, tmp_path, compiler):
    compiler.error, compiler.only = ModelError("too odd"), 2
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, limit=200, cache=tmp_path / "cache")
    assert {row["candidate"] for row in fitted.rows() if "@" in row["candidate"]} == {
        "fp32@native",
        "int8-float1@native",
    }
    assert "not compiled: int8: too odd" in fitted.notes


def test_without_a_compiler_a_note_says_so_unless_native_was_asked_for(task, warm, monkeypatch):
    def none(target: object) -> None:
        raise MissingExtraError("ziglang", "native")

    monkeypatch.setattr(programs, "find_compiler", none)
    monkeypatch.setattr(tried, "DEFAULT", BOTH)
    fitted = fit(task.model, task.data, budget=BUDGET, cache=warm)
    (note,) = [note for note in fitted.notes if "native" in note]
    assert note == ("native programs were not tried: there is no C compiler; pip install 'shoestring[native]'")
    with pytest.raises(MissingExtraError):
        fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=warm)


@pytest.mark.parametrize(
    ("runtimes", "words"),
    [(("onnxruntime", "tvm"), "does not try the runtime 'tvm'"), (("native",), "lack onnxruntime"), ((), "lack")],
)
def test_runtimes_that_make_no_sense_are_refused_before_any_work(task, tmp_path, runtimes, words):
    with pytest.raises(UsageError, match=words) as caught:
        fit(task.model, task.data, runtimes=runtimes, cache=tmp_path / "cache")
    assert caught.value.hint and not (tmp_path / "cache").exists()


def test_the_flag_restricts_the_runtimes(task, warm, compiler, monkeypatch, capsys):
    monkeypatch.setattr(tried, "DEFAULT", BOTH)
    words = ["fit", str(task.model), "--data", str(task.data), "--max-drop", "5pt", "--cache", str(warm), "--json"]
    assert main([*words, "--runtimes", "onnxruntime"]) == 0
    assert not any("@" in row["candidate"] for row in json.loads(capsys.readouterr().out)["rows"])
    assert main(words) == 0
    assert "int8@native" in {row["candidate"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert main([*words, "--runtimes", "native"]) == 2


def test_the_bundle_is_sound_and_plays(bundle, task):
    with open_bundle(bundle) as opened, Player(opened) as player:
        recheck_counts(opened)
        assert player.rung.name == "int8@native" and player.replayed > 0
        (answer,) = player.classify([np.asarray(Image.open(task.data / "red" / "0002.png"))])
        assert answer.label == "red"


def test_a_program_is_loaded_from_the_bytes_that_the_bundle_verified(bundle, monkeypatch):
    """Never from a path: what was hashed is what runs."""
    seen = []
    honest = registry.get("native")
    load = type(honest).load
    monkeypatch.setattr(
        type(honest), "load", lambda self, model, threads: seen.append(model) or load(self, model, threads)
    )
    with open_bundle(bundle) as opened, Player(opened) as player:
        (model,) = seen
        assert hashlib.sha256(model).hexdigest() == player.rung.candidate.artefact_sha256


RUN = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("onnxruntime", "onnx", "scipy", "ziglang"):
            raise ImportError(f"{name} is not on this device")

sys.meta_path.insert(0, Blocker())
from shoestring.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_run_needs_neither_onnxruntime_nor_a_compiler(bundle, task):
    words = ["run", str(bundle), str(task.data / "red" / "0002.png"), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        capture_output=True,
        text=True,
        env={"PATH": "/nowhere", "HOME": "/nowhere"},
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["rung"] == "int8@native" and data["answers"][0]["top"][0]["label"] == "red"
    other = subprocess.run([sys.executable, "-c", RUN, *words, "--rung", "fp32"], capture_output=True, text=True)
    assert other.returncode == 2 and "onnxruntime" in other.stdout + other.stderr, "the blocker blocks"


def test_bench_inspect_and_report_take_it(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(interleave, "BLOCK_MS", 1.0)
    assert main(["bench", str(bundle), "--seconds", "0.02", "--json"]) == 0
    costs = json.loads(capsys.readouterr().out)["costs"]
    assert "int8@native" in costs and costs["int8@native"]["peak_rss_bytes"] > 0
    assert main(["inspect", str(bundle)]) == 0
    assert "int8@native" in capsys.readouterr().out
    with open_bundle(bundle) as opened:
        page = render(opened.manifest, opened.evidence(), size_bytes=1)
    assert "int8@native" in page and "int8, native" in page and f"run by native 1+{__version__}" in page
    assert main(["report", str(bundle), "-o", str(tmp_path / "page.html")]) == 0


def test_more_threads_than_a_program_can_use_leave_native_out(task, warm, compiler, monkeypatch):
    assert workbench.MAX_THREADS == compiling.MOST_THREADS
    monkeypatch.setattr(workbench, "MAX_THREADS", 1)
    fitted = fit(task.model, task.data, budget=Budget(max_drop=0.05, threads=2), runtimes=BOTH, cache=warm)
    assert "native programs were not tried: they use at most 1 threads, not 2" in fitted.notes
    assert {rung.threads for rung in fitted.ladder.rungs} == {2}


def test_a_real_program_goes_all_the_way(task, tmp_path, monkeypatch):
    """Nothing stands in for the compiler: the int8 program answers like the int8 model file, and plays."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    monkeypatch.setenv("CC", "cc")
    for name, median in NATIVE_MS.items():
        monkeypatch.setitem(tiny.KNOWN_MS, name, median)
        monkeypatch.setitem(tiny.KNOWN_RSS_BYTES, name, 40_000_000)
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=tmp_path / "cache")
    assert not [note for note in fitted.notes if "not compiled" in note]
    assert fitted.ladder.chosen == "int8@native"
    for one, other in (("fp32@native", "original"), ("int8@native", "int8")):
        ours = [top[0] for top in fitted.evidence.trace(one, "selection").top]
        theirs = [top[0] for top in fitted.evidence.trace(other, "selection").top]
        assert sum(a == b for a, b in zip(ours, theirs, strict=True)) >= 0.98 * len(ours)
    fitted.save(tmp_path / "real.shoe")
    with open_bundle(tmp_path / "real.shoe") as opened, Player(opened) as player:
        (answer,) = player.classify([np.asarray(Image.open(task.data / "red" / "0002.png"))])
        assert answer.label == "red"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("MobileNet-v2.onnx", "mobilenet_v2"),
        ("x" * 80, "x" * 63),
        ("7b.onnx", "model_7b"),
        ("é.onnx", "model"),
        ("a b/c d.onnx", "c_d"),
    ],
)
def test_the_program_is_called_by_a_c_identifier(given, name):
    assert programs.program_name(given) == name
