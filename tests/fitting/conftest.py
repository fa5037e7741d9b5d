"""A small task, known costs, and one fit of it that many tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from shoestring.domain.budget import Budget
from shoestring.fitting import Fitted, candidates, fit, mixing, tried

MAX_DROP = 0.05


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> tiny.Task:
    return tiny.write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(autouse=True)
def known_costs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing here measures, compiles unless it says so, or touches the user's own cache."""
    monkeypatch.setattr(tried, "DEFAULT", ("onnxruntime",))
    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path / "default-cache"))


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, task: tiny.Task) -> Path:
    """A cache that holds every step of a fit of the task."""
    cache = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "measure", tiny.known_costs)
        patch.setattr(mixing, "measure_layers", tiny.known_layer_times)
        fit(task.model, task.data, budget=Budget(max_drop=MAX_DROP), runtimes=("onnxruntime",), cache=cache)
    return cache


@pytest.fixture
def fitted(task: tiny.Task, warm: Path) -> Fitted:
    """The task fitted with a margin of five points."""
    return fit(task.model, task.data, budget=Budget(max_drop=MAX_DROP), cache=warm)
