"""The Edge TPU's compiler: its log is read, its failures are errors that name it, and it cannot hang or eat us."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from coral_compiler import LOG, install
from shoestring.base.errors import ChildCrashedError, ChildError, ChildTimeoutError, ModelError
from shoestring.legalise import edgetpu

OLDER = """Edge TPU Compiler version 2.0.291256449
Model compiled successfully in 39 ms.
On-chip memory available for caching model parameters: 5.95MiB
On-chip memory used for caching model parameters: 891.50KiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 13
Operator                       Count      Status
SOFTMAX                        1          Mapped to Edge TPU
FULLY_CONNECTED                2          Mapped to Edge TPU
MAX_POOL_2D                    4          Mapped to Edge TPU
QUANTIZE                       2          Mapped to Edge TPU
CONV_2D                        3          Mapped to Edge TPU
DEPTHWISE_CONV_2D              1          Mapped to Edge TPU
"""
"""https://github.com/google-coral/edgetpu/issues/169, of version 2.0."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "camera.tflite"
    path.write_bytes(b"TFL3 full integer")
    return path


def test_a_log_is_read() -> None:
    found = edgetpu.read_log(LOG)
    assert found.version == "16.0.384591198"
    assert (found.mapped, found.total, found.subgraphs) == (3, 36, 1)
    assert found.on_chip_bytes == round(1.92 * 1024**2) and found.left_bytes == round(1.75 * 1024)
    assert found.streamed_bytes == round(3.23 * 1024**2)
    assert edgetpu.Counted("LEAKY_RELU", 11, "Operation not supported") in found.rows
    assert any("unspecified limitation" in row.status for row in found.rows)


def test_an_older_log_is_read() -> None:
    found = edgetpu.read_log(OLDER)
    assert (found.version, found.mapped, found.total, found.streamed_bytes) == ("2.0.291256449", 13, 13, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("LEAKY_RELU                     11", "LEAKY_RELU                     10"),
            "counts 36 operators, and its table 35",
        ),
        (("Off-chip memory used", "Off-chip memory"), "cannot be read"),
        (("Edge TPU Compiler version", "Compiler"), "cannot be read"),
    ],
)
def test_a_log_that_does_not_add_up_is_no_log(change: tuple[str, str], words: str) -> None:
    with pytest.raises(ChildError, match=words):
        edgetpu.read_log(LOG.replace(*change))


def test_it_is_called_where_it_is_on_the_path(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin").parent))
    program = edgetpu.find_compiler()
    assert program is not None
    found = edgetpu.compile_model(model, tmp_path, program)
    assert found.path == tmp_path / "camera_edgetpu.tflite" and found.path.read_bytes() == b"TFL3"
    assert found.mapped == 3


def test_without_it_there_are_the_commands(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert edgetpu.find_compiler() is None
    lines = edgetpu.by_hand(model)
    assert shlex.split(lines[-1]) == ["edgetpu_compiler", "-s", "-o", ".", str(model)]
    assert any("packages.cloud.google.com" in line for line in lines)


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("refuses", ModelError, r"refuses camera.tflite \(exit 1\): Model not quantized"),
        ("silent", ChildError, "wrote no camera_edgetpu.tflite"),
        ("garbled", ChildError, "cannot be read"),
        ("hungry", ModelError, "MemoryError"),
    ],
)
def test_its_failures_have_names(tmp_path: Path, model: Path, kind: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        edgetpu.compile_model(model, tmp_path, str(install(tmp_path / "bin", kind)))


def test_it_cannot_hang(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu, "SECONDS", 2.0)
    with pytest.raises(ChildTimeoutError):
        edgetpu.compile_model(model, tmp_path, str(install(tmp_path / "bin", "sleeps")))


def test_a_program_that_is_none_is_an_error(tmp_path: Path, model: Path) -> None:
    with pytest.raises((ChildError, ChildCrashedError)):
        edgetpu.compile_model(model, tmp_path, str(tmp_path / "nowhere"))
