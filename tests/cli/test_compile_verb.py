"""`shoestring compile`: what it writes runs and is described truly; what it refuses leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnx_graphs
import tiny
from shoestring.base.errors import MissingExtraError, StorageError
from shoestring.bundle import open_bundle
from shoestring.chips.host import this_machine
from shoestring.domain.ladder import Ladder, Rung
from shoestring.native import compiling, deliver
from shoestring.native.targets import target_named
from shoestring.runtimes.native import NativeRuntime
from shoestring.runtimes.ort import OrtRuntime

PORTABLE = ("--target", "c")


def images(count: int = 3) -> np.ndarray:
    pixels, _ = tiny.make_images(count, seed=11)
    return np.ascontiguousarray((pixels.astype(np.float32) / 255).transpose(0, 3, 1, 2))


def answers(session, feeds: np.ndarray) -> np.ndarray:
    try:
        (name,) = [spec.name for spec in session.inputs]
        (answer,) = session.run({name: feeds}).values()
    finally:
        session.close()
    return answer


def test_a_library_is_written_described_and_answers_as_the_model(cli, task, tmp_path):
    out = tmp_path / "camera.so"
    said = cli("compile", task.model, *PORTABLE, "--name", "camera", "-o", out, "--json")
    assert said.code == 0, said.err
    made = said.data["delivered"]
    assert said.data["name"] == "camera" and said.data["seconds"] > 0
    assert (made["kind"], made["targets"], made["threads"]) == ("library", ["c"], 1)
    assert made["weights_bytes"] + made["code_bytes"] == out.stat().st_size
    assert 0 < made["arena_bytes"] < 1_000_000
    assert made["operators"]["integer"] == made["operators"]["between"] == 0 < made["operators"]["real"]
    assert [path.name for path in tmp_path.iterdir()] == ["camera.so"]
    session = NativeRuntime().load(out, 1)
    assert session.about.name == "camera" and session.about.arena_bytes == made["arena_bytes"]
    theirs = answers(OrtRuntime().load(task.model, 1), images())
    np.testing.assert_allclose(answers(session, images()), theirs, rtol=1e-4, atol=1e-4)


def test_the_default_is_the_best_target_of_this_machine_and_a_name_after_the_file(cli, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = cli("compile", task.model)
    assert said.code == 0, said.err
    machine = this_machine()
    (target,) = deliver.pick_targets((), machine.isa, machine.arch)
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert lines["target"] == target.name
    assert lines["library"] == f"{deliver.program_name(task.model.name)}.so"
    assert lines["compiler"] and lines["arena"].endswith("B") and lines["time"].endswith(" s")
    assert (tmp_path / lines["library"]).is_file()


def test_a_program_answers_from_files(cli, task, tmp_path):
    out = tmp_path / "camera_run"
    said = cli("compile", task.model, *PORTABLE, "--kind", "program", "-o", out)
    assert said.code == 0, said.err
    assert "program" in said.out
    feeds = images(1)
    (tmp_path / "in").write_bytes(feeds.tobytes())
    subprocess.run([out, tmp_path / "in", tmp_path / "out"], check=True)
    theirs = answers(OrtRuntime().load(task.model, 1), feeds)
    ours = np.fromfile(tmp_path / "out", np.float32).reshape(theirs.shape)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_sources_go_to_a_folder_and_replace_older_ones(cli, task, tmp_path):
    out = tmp_path / "camera"
    command = ("compile", task.model, "--target", "cortex-m7", "--name", "camera", "-o", out)
    said = cli(*command)
    assert said.code == 0, said.err
    names = ["camera.c", "camera.h", "camera.weights", "camera_run.c", "camera_weights.S"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert "none: sources only" in said.out and "-mcpu=cortex-m7" in said.out and "-ffp-contract=off" in said.out
    written = (out / "camera.c").read_bytes()
    (out / "camera.c").write_text("old")
    (out / "mine.c").write_text("mine")
    assert cli(*command).code == 0
    assert (out / "camera.c").read_bytes() == written
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "mine.c"])
    assert [path.name for path in tmp_path.iterdir()] == ["camera"]


def test_a_library_of_several_targets_asks_the_processor(cli, task, tmp_path):
    if target_named("x86-64-avx2").arch != this_machine().arch:
        pytest.skip("the targets are of x86-64")
    out = tmp_path / "camera.so"
    said = cli("compile", task.model, "--target", "x86-64-sse41,x86-64-avx2", "-o", out, "--json")
    assert said.code == 0, said.err
    assert said.data["delivered"]["targets"] == ["x86-64-avx2", "x86-64-sse41"]
    if "avx2" in this_machine().isa:
        session = NativeRuntime().load(out, 1)
        assert session.about.target == "x86-64-avx2"
        session.close()


def test_the_targets_are_listed_without_a_model(cli):
    said = cli("compile", "--list-targets")
    assert said.code == 0
    listed = [line.split()[0] for line in said.out.splitlines()[1:] if line[0] != " "]
    assert listed == [row.name for row, _ in deliver.known_targets()]
    assert "c" in listed


def test_a_bundle_gives_the_model_of_a_rung(cli, measured, tmp_path):
    with open_bundle(measured) as bundle:
        ladder = bundle.manifest.ladder
        rung = next(rung for rung in ladder.rungs if rung.name.startswith("int8"))
    said = cli("compile", measured, *PORTABLE, "--rung", rung.name, "-o", tmp_path / "a.so", "--json")
    assert said.code == 0, said.err
    assert said.data["delivered"]["operators"]["integer"] > 0
    said = cli("compile", measured, *PORTABLE, "--rung", "none", "-o", tmp_path / "b.so")
    assert said.code == 2 and ladder.rungs[0].name in said.err
    assert not (tmp_path / "b.so").exists()


def test_a_native_rung_holds_no_onnx(cli, measured, tmp_path, monkeypatch):
    with open_bundle(measured) as bundle:
        rung = bundle.manifest.ladder.rungs[0]
    native: Rung = replace(rung, candidate=replace(rung.candidate, runtime="native"))
    monkeypatch.setattr(Ladder, "rung", lambda self, name: native)
    said = cli("compile", measured, *PORTABLE, "-o", tmp_path / "a.so")
    assert said.code == 2
    assert f"rung {native.name} holds a file for the runtime native" in said.err and "--rung " in said.err
    assert not any(tmp_path.iterdir())


def unsupported(path: Path) -> Path:
    nodes = [
        helper.make_node("Erf", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="fine"),
        helper.make_node("LRN", ["b"], ["y"], name="second", size=3),
    ]
    return onnx_graphs.save(onnx_graphs.model(nodes, []), path)


def dynamic(path: Path) -> Path:
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu")]
    inputs = [onnx_graphs.floats("x", "n", 3, "height", 8)]
    return onnx_graphs.save(onnx_graphs.model(nodes, [], inputs=inputs), path)


@pytest.mark.parametrize(
    ("make", "words"),
    [(unsupported, ("Erf", "'first'", "LRN", "'second'")), (dynamic, ("'x'", "leaves dimension 2 open"))],
)
def test_what_cannot_be_compiled_is_named_and_nothing_is_written(cli, tmp_path, make, words):
    model = make(tmp_path / "model.onnx")
    for kind in ("library", "program", "source"):
        said = cli("compile", model, *PORTABLE, "--kind", kind, "-o", tmp_path / "out")
        assert said.code == 1 and said.out == ""
        assert all(word in said.err for word in words), said.err
        assert "'fine'" not in said.err
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--target", "pdp-11"), 2, ("no target 'pdp-11'", "raspberry-pi-4")),
        (("--target", "x86-64-avx2,armv8-neon"), 2, ("x86_64", "aarch64", "each architecture")),
        (("--target", "armv8-neon,armv8-cortex-a53"), 2, ("armv8-cortex-a53 would never be picked",)),
        (("--target", "cortex-m7", "--kind", "library"), 2, ("no operating system", "--kind source")),
        (("--target", "cortex-m7", "--threads", "2"), 2, ("no operating system to start threads",)),
        (("--target", "x86-64-avx2,x86-64-sse41", "--kind", "source"), 2, ("one target, not for 2",)),
        (("--target", "c", "--threads", "0"), 2, ("0 threads",)),
        (("--target", "c", "--threads", "99"), 2, ("99 threads", str(compiling.MOST_THREADS))),
        (("--target", "c", "--name", "Not a name"), 2, ("'Not a name' cannot name C functions",)),
        (("--target", "c", "--cc", "no-such-compiler"), 2, ("no compiler 'no-such-compiler'",)),
        (("--target", "c", "--cc", "false"), 1, ("false failed",)),
        (("--target", "c", "--rung", "int8"), 2, ("needs a bundle",)),
    ],
)
def test_flags_that_make_no_sense_are_one_error(cli, task, tmp_path, flags, code, words):
    said = cli("compile", task.model, *flags, "-o", tmp_path / "out")
    assert said.code == code and said.out == ""
    assert all(word in said.err for word in words), said.err
    assert "  hint: " in said.err and "Traceback" not in said.err
    assert not any(tmp_path.iterdir())


def test_a_missing_compiler_says_what_to_install(cli, task, tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise MissingExtraError("ziglang", "native")

    monkeypatch.setattr(compiling, "find_compiler", none)
    said = cli("compile", task.model, *PORTABLE, "-o", tmp_path / "camera.so")
    assert said.code == 2 and "pip install 'shoestring[native]'" in said.err
    assert not any(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said_before_the_work(cli, task, tmp_path, monkeypatch):
    def never(*_: object) -> None:
        pytest.fail("the model was read")

    monkeypatch.setattr(deliver, "prepare", never)
    said = cli("compile", task.model, *PORTABLE, "-o", tmp_path / "none" / "camera.so")
    assert said.code == 1 and f"{tmp_path / 'none'} does not exist" in said.err
    (tmp_path / "folder").mkdir()
    said = cli("compile", task.model, *PORTABLE, "-o", tmp_path / "folder")
    assert said.code == 1 and "is a folder" in said.err
    (tmp_path / "file").write_text("mine")
    said = cli("compile", task.model, *PORTABLE, "--kind", "source", "-o", tmp_path / "file")
    assert said.code == 1 and (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_fails_half_way_leaves_no_folder(cli, task, tmp_path, monkeypatch):
    written: list[Path] = []

    def full(path: Path, text: str) -> None:
        written.append(path)
        if len(written) == 3:
            raise StorageError(f"cannot write {path}: no space left", hint="free some space")
        path.write_text(text)

    monkeypatch.setattr(compiling.disk, "write_text", full)
    said = cli("compile", task.model, *PORTABLE, "--kind", "source", "-o", tmp_path / "camera")
    assert said.code == 1 and len(written) == 3
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("MobileNet-v2.onnx", "mobilenet_v2"),
        ("2nd try.onnx", "model_2nd_try"),
        ("模型.onnx", "model"),
        ("a" * 99 + ".onnx", "a" * 63),
    ],
)
def test_programs_are_named_after_files(file, name):
    assert deliver.program_name(file) == name


def test_json_of_an_error(cli, tmp_path):
    said = cli("compile", tmp_path / "none.onnx", *PORTABLE, "--json")
    assert said.code == 1 and json.loads(said.out)["error"] == "ModelError"
