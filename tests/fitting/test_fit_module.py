"""`fit` takes a PyTorch module as it takes a file, and finds the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shoestring as ss
import tiny
from shoestring.base.errors import UsageError
from shoestring.fitting import candidates, mixing

torch = pytest.importorskip("torch", reason="the extra torch is not installed: torch")
pytest.importorskip("onnxscript", reason="the extra torch is not installed: onnxscript")


def module() -> Any:
    """The network of the small task, in PyTorch."""
    weights = {name: torch.from_numpy(value.copy()) for name, value in tiny.make_weights().items()}
    first, second = tiny.WIDTHS
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, first, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(first, second, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(second, len(tiny.CLASSES)),
    )  # fmt: skip
    with torch.no_grad():
        for place, name in ((0, "conv1"), (3, "conv2")):
            layers[place].weight.copy_(weights[f"{name}.w"])
            layers[place].bias.copy_(weights[f"{name}.b"])
        layers[7].weight.copy_(weights["head.w"].T)
        layers[7].bias.copy_(weights["head.b"])
    return layers.eval()


def test_a_module_is_fitted_like_the_file_of_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    for layers in (2, 3, 4):  # the layers have other names here, and mixtures are named by their number
        monkeypatch.setitem(tiny.KNOWN_MS, f"int8-float{layers}", 1.0 + layers)
        monkeypatch.setitem(tiny.KNOWN_RSS_BYTES, f"int8-float{layers}", 80_000_000)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    task, example = tiny.write_task(tmp_path, count=150), torch.rand(1, 3, tiny.SIZE, tiny.SIZE)
    common: dict[str, Any] = {"budget": ss.Budget(max_drop=0.05), "runtimes": ("onnxruntime",), "cache": tmp_path / "c"}
    from_module = ss.fit(module(), task.data, example=example, out=tmp_path / "camera.shoe", **common)
    from_file = ss.fit(task.model, task.data, **common)
    assert from_module.ladder.chosen == from_file.ladder.chosen
    reference = [fitted.ladder.rung("fp32").candidate.score.value for fitted in (from_module, from_file)]
    assert reference[0] == reference[1]
    assert any("differ by" in note for note in from_module.notes)
    with ss.open_bundle(tmp_path / "camera.shoe") as bundle:
        assert bundle.manifest.ladder.chosen == from_module.ladder.chosen


def test_an_example_goes_with_a_module_and_with_nothing_else(tmp_path: Path) -> None:
    task = tiny.write_task(tmp_path, count=30)
    with pytest.raises(UsageError, match="needs an example"):
        ss.fit(module(), task.data, cache=tmp_path / "c")
    with pytest.raises(UsageError, match="an example belongs to a PyTorch module"):
        ss.fit(task.model, task.data, example=torch.rand(1, 3, 16, 16), cache=tmp_path / "c")
