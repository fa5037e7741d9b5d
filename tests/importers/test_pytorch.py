"""PyTorch files become ONNX with the same answers; what holds no network is named."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch_files
from shoestring.base import landlock
from shoestring.base.errors import MissingExtraError, ModelError, UsageError
from shoestring.domain.model import Model
from shoestring.importers import import_model
from shoestring.runtimes import registry
from torch_files import torch

if landlock.abi() == 0:
    pytest.skip("this kernel has no Landlock: such files are refused here", allow_module_level=True)

FREE = {"x": (None, 3, torch_files.SIZE, torch_files.SIZE)}


def run(model: Model, x: Any) -> Any:
    with registry.get("onnxruntime").load(model.path, 1) as session:
        return session.run({model.inputs[0].name: x})[model.outputs[0].name]


def check_same(model: Model, module: Any, batches: tuple[int, ...] = (1, 3)) -> None:
    for batch in batches:
        x = torch_files.images(batch, seed=batch)
        np.testing.assert_allclose(run(model, x), torch_files.answers(module, x), rtol=1e-4, atol=1e-5)


def test_an_exported_program_with_a_free_batch(tmp_path: Path) -> None:
    source = torch_files.exported(tmp_path / "net.pt2")
    model = import_model(source, tmp_path / "out.onnx")
    assert model.source_name == "net.pt2"
    assert model.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert model.inputs[0].shape == (None, 3, 16, 16) and model.outputs[0].shape == (None, torch_files.CLASSES)
    assert any("in a closed process: no network" in note for note in model.notes)
    check_same(model, torch_files.net())
    again = import_model(source, tmp_path / "again.onnx")
    assert again.sha256 == model.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.onnx", "net.pt2", "out.onnx"]


def test_an_exported_program_with_a_fixed_batch_keeps_it(tmp_path: Path) -> None:
    source = torch_files.exported(tmp_path / "net.pt2", free=False)
    model = import_model(source, tmp_path / "out.onnx")
    assert model.inputs[0].shape == (2, 3, 16, 16)
    assert "input 'x' has its batch fixed at 2" in model.notes
    check_same(model, torch_files.net(), batches=(2,))


def test_a_damaged_program_is_one_clear_error(tmp_path: Path) -> None:
    source = torch_files.exported(tmp_path / "net.pt2")
    broken = torch_files.rewritten(source, tmp_path / "broken.pt2", {"models/model.json": b'{"graph_module": 3}'})
    with pytest.raises(ModelError, match="cannot load the exported program") as told:
        import_model(broken, tmp_path / "out.onnx")
    assert told.value.hint
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript_when_asked(tmp_path: Path, how: str) -> None:
    module = torch_files.net()
    example = torch.from_numpy(torch_files.images(2))
    made = torch.jit.script(module) if how == "script" else torch.jit.trace(module, example)
    torch.jit.save(made, tmp_path / "net.pt")
    with pytest.raises(ModelError, match="a TorchScript archive, which can run any code"):
        import_model(tmp_path / "net.pt", tmp_path / "out.onnx")
    model = import_model(tmp_path / "net.pt", tmp_path / "out.onnx", allow_pickle=True, shapes=FREE)
    assert model.inputs[0].shape == (None, 3, 16, 16)
    check_same(model, module)


def test_a_pickled_module_of_known_classes_when_asked(tmp_path: Path) -> None:
    module = torch_files.plain_stack()
    torch.save(module, tmp_path / "net.pth")
    shapes = {"input": (None, 3, 16, 16)}
    model = import_model(tmp_path / "net.pth", tmp_path / "out.onnx", allow_pickle=True, shapes=shapes)
    check_same(model, module)
    assert model.inputs[0].shape == (None, 3, 16, 16)


def test_shapes_are_asked_for_and_checked(tmp_path: Path) -> None:
    torch.save(torch_files.plain_stack(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match="does not say how large its inputs are") as told:
        import_model(tmp_path / "net.pth", tmp_path / "out.onnx", allow_pickle=True)
    assert "--shape input=Nx3x224x224" in str(told.value.hint)


def test_what_is_no_network_is_named(tmp_path: Path) -> None:
    torch.save(torch_files.net().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=r"holds 10 tensors \(first.0.weight, .*weights without the network") as told:
        import_model(tmp_path / "weights.pth", tmp_path / "out.onnx", allow_pickle=True)
    assert "shoestring.import_module" in str(told.value.hint)
    torch.save(torch_files.net(), tmp_path / "mine.pth")  # its class is in this folder, which the process cannot read
    with pytest.raises(ModelError, match=r"needs code that is not installed or may not be read: .*torch_files"):
        import_model(tmp_path / "mine.pth", tmp_path / "out.onnx", allow_pickle=True, shapes=FREE)


def test_without_torch_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = torch_files.exported(tmp_path / "net.pt2")
    find = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.raises(MissingExtraError) as told:
        import_model(source, tmp_path / "out.onnx")
    assert "shoestring[torch]" in str(told.value.hint)


def test_a_kernel_without_walls_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoestring.base.quarantine.ENTRY", "closed_targets:without_landlock")
    source = torch_files.exported(tmp_path / "net.pt2")
    with pytest.raises(ModelError, match="cannot close a process: it is without Landlock"):
        import_model(source, tmp_path / "out.onnx")
