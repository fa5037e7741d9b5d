"""A module of the user's own: exported, compared with PyTorch, and refused in words where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoestring as ss
import torch_files
from shoestring.base.errors import ModelError, UsageError
from shoestring.importers import module as module_
from shoestring.runtimes import registry
from torch_files import torch

ONE = torch.from_numpy(torch_files.images(1))


class Branches(torch_files.Net):
    def forward(self, x: Any) -> Any:
        return super().forward(x) if x.sum() > 0 else -super().forward(x)


class OneImage(torch_files.Net):
    def forward(self, x: Any) -> Any:
        return super().forward(x).reshape(1, 5)


class NoSuchOperator(torch_files.Net):
    def forward(self, x: Any) -> Any:
        return torch.erfinv(super().forward(x) / 100)


class TwoInputs(torch_files.Net):
    def forward(self, image: Any, shift: Any) -> Any:
        return super().forward(image) + shift, super().forward(image)


def run(model: Any, *inputs: Any) -> Any:
    with registry.get("onnxruntime").load(model.path, 1) as session:
        fed = {spec.name: value for spec, value in zip(model.inputs, inputs, strict=True)}
        answers = session.run(fed)
    return [answers[spec.name] for spec in model.outputs]


def test_a_module_with_one_example_gets_a_free_batch(tmp_path: Path) -> None:
    module = torch_files.net()
    model = ss.import_module(module, ONE, tmp_path / "out.onnx")
    assert model.source_name == "Net" and model.path == tmp_path / "out.onnx"
    assert model.inputs[0].shape == (None, 3, 16, 16)
    assert any("ONNX Runtime and PyTorch differ by" in note for note in model.notes)
    x = torch_files.images(4, seed=9)
    np.testing.assert_allclose(run(model, x)[0], torch_files.answers(module, x), rtol=1e-4, atol=1e-5)
    again = ss.import_module(torch_files.net(), ONE, str(tmp_path / "again.onnx"))
    assert (again.sha256, again.source_sha256) == (model.sha256, model.source_sha256)
    fixed = ss.import_module(module, (ONE,), tmp_path / "fixed.onnx", batch_free=False)
    assert fixed.inputs[0].shape == (1, 3, 16, 16)


def test_several_inputs_and_outputs_keep_their_order(tmp_path: Path) -> None:
    module, shift = TwoInputs().eval(), torch.full((1, 5), 3.0)
    model = ss.import_module(module, (ONE, shift), tmp_path / "out.onnx")
    assert [spec.name for spec in model.inputs] == ["image", "shift"]
    x = torch_files.images(2, seed=3)
    shifted, plain = run(model, x, np.full((2, 5), 3.0, np.float32))
    np.testing.assert_allclose(shifted - plain, 3.0, rtol=1e-5)


def test_a_batch_that_the_module_fixes_is_told(tmp_path: Path) -> None:
    model = ss.import_module(OneImage().eval(), ONE, tmp_path / "out.onnx")
    assert model.inputs[0].shape == (1, 3, 16, 16)
    assert "the module fixes its batch to 1, as in the example" in model.notes


def test_an_exported_program_is_taken_as_it_is(tmp_path: Path) -> None:
    program = torch.export.export(torch_files.net(), (ONE,))
    model = ss.import_module(program, ONE, tmp_path / "out.onnx")
    assert model.inputs[0].shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("module", "example", "kind", "words"),
    [
        (torch_files.Net(), ONE, UsageError, "in training mode"),
        (torch_files.net(), None, UsageError, "needs an example"),
        (torch_files.net(), "photo.jpg", UsageError, "the example is a str"),
        (torch_files.net(), (), UsageError, "the example is a tuple"),
        (torch_files.net(), torch.rand(1, 4, 16, 16), UsageError, r"does not take the example \(\(1, 4, 16, 16\)\)"),
        (torch_files.net(), (ONE, ONE), UsageError, "does not take the example"),
        (3, ONE, UsageError, "expected a torch.nn.Module, got a int"),
        (Branches().eval(), ONE, ModelError, "cannot capture the module: .*data-dependent"),
        (NoSuchOperator().eval(), ONE, ModelError, "cannot translate the program: .*erf_?inv"),
    ],
)
def test_what_cannot_be_exported_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], module: Any, example: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as told:
        ss.import_module(module, example, tmp_path / "out.onnx")
    assert type(told.value) is kind and told.value.hint  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_wrong_export_would_be_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = module_._answers
    monkeypatch.setattr(module_, "_answers", lambda *given: [one * 1.01 for one in answers(*given)])
    with pytest.raises(ModelError, match=r"ONNX Runtime and PyTorch differ by 0.0"):
        ss.import_module(torch_files.net(), ONE, tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_none_are_a_difference() -> None:
    good, bad = np.ones(3), np.array([1.0, np.nan, 1.0])
    assert module_._difference(good, good) == 0.0
    assert module_._difference(bad, good) == module_._difference(good, bad) == float("inf")
