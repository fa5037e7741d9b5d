"""A fitted bundle, and a board that is this very machine, so that nothing needs to be emulated."""

from __future__ import annotations

from pathlib import Path

import pytest

import own_board
import tiny
from shoestring.domain.budget import Budget
from shoestring.fitting import candidates, fit, mixing, tried

MAX_DROP = 0.05


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> tiny.Task:
    return tiny.write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, task: tiny.Task) -> Path:
    """The task fitted on ONNX Runtime."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tried, "DEFAULT", ("onnxruntime",))
        patch.setattr(candidates, "measure", tiny.known_costs)
        patch.setattr(mixing, "measure_layers", tiny.known_layer_times)
        fit(task.model, task.data, budget=Budget(max_drop=MAX_DROP), cache=folder / "cache", out=folder / "a.shoe")
    return folder / "a.shoe"


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chip file of this machine."""
    return own_board.write_chip_file(tmp_path_factory.mktemp("chips"))
