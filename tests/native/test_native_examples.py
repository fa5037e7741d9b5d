"""The examples in C, in Python and on a microcontroller build, run, and answer as the model does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shoestring.cli.main import main
from shoestring.native.build import WARNINGS, build, find_compiler
from shoestring.native.targets import target_named
from shoestring.runtimes.ort import OrtRuntime

EXAMPLES = Path(__file__).parents[2] / "examples"
NATIVE = EXAMPLES / "native"
MODEL = EXAMPLES / "cifar10_small.onnx"
SHAPE = (1, 3, 64, 64)
TOLERANCE = 2e-3  # of a score printed with four digits; sums run in another order than in ONNX Runtime


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("image") / "input"
    np.random.default_rng(0).random(SHAPE, np.float32).tofile(path)
    return path


def scores(image: np.ndarray) -> np.ndarray:
    session = OrtRuntime().load(MODEL, 1)
    try:
        (answer,) = session.run({session.inputs[0].name: image.reshape(SHAPE)}).values()
    finally:
        session.close()
    return answer.reshape(-1)


def check(said: str, image: Path) -> int:
    """Whether what an example printed is the model's answer; returns the bytes of its arena."""
    expected = scores(np.fromfile(image, np.float32))
    found = re.search(r"class (\d), score (-?[\d.]+); arena (\d+) bytes\n$", said)
    assert found is not None, said
    assert int(found[1]) == expected.argmax()
    assert abs(float(found[2]) - expected.max()) < TOLERANCE
    return int(found[3])


def compile_model(*words: object) -> None:
    assert main(["compile", str(MODEL), "--name", "camera", *map(str, words)]) == 0


def test_use_c_answers_as_the_model(tmp_path, image, capsys):
    folder, target = tmp_path / "camera", target_named("c")
    compile_model("--target", "c", "--kind", "source", "-o", folder)
    flags = next(line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("flags"))
    sources = [NATIVE / "use.c", folder / "camera.c", folder / "camera_weights.S"]
    extra = [*flags, *WARNINGS, "-Werror", f"-I{folder}"]
    use = build(find_compiler(target), target, sources, tmp_path / "use", "program", extra_flags=extra)
    said = subprocess.run([use, image], capture_output=True, text=True, check=True).stdout
    arena = check(said, image)
    assert f"CAMERA_ARENA_BYTES {arena}u" in (folder / "camera.h").read_text()
    bad = tmp_path / "bad"
    bad.write_bytes(b"short")
    done = subprocess.run([use, bad], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "does not hold 12288 floats" in done.stderr


def test_the_readme_gives_the_command_that_works(tmp_path, image):
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    folder = tmp_path / "camera"
    compile_model("--target", "c", "--kind", "source", "-o", folder)
    text = (NATIVE / "README.md").read_text()
    command = re.search(r"^    (cc .*?)\n    \./use", text, re.M | re.S)
    assert command is not None
    shutil.copy(NATIVE / "use.c", tmp_path)
    subprocess.run(command[1], shell=True, cwd=folder, check=True)
    check(subprocess.run([folder / "use", image], capture_output=True, text=True, check=True).stdout, image)


def test_use_py_answers_as_the_model_without_this_project(tmp_path, image):
    library = tmp_path / "camera.so"
    compile_model("-o", library)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-X", "importtime", NATIVE / "use.py", library, image]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean)
    check(done.stdout, image)
    assert "shoestring" not in done.stderr.replace(str(library), "") and "onnx" not in done.stderr
    done = subprocess.run([sys.executable, NATIVE / "use.py", library], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "usage" in done.stderr


def test_the_firmware_answers_as_the_model(tmp_path):
    for name in ("make", "arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    command = ["make", "-C", NATIVE / "microcontroller", "run", f"OUT={tmp_path}"]
    command += [f"SHOESTRING={sys.executable} -m shoestring.cli.main"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    pattern = (np.arange(np.prod(SHAPE)) % 251).astype(np.float32) * np.float32(1 / 251)
    assert done.stderr == f"class {scores(pattern).argmax()}\n"
