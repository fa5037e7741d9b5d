"""A fitted bundle, and a board that is this very machine, so that nothing needs to be emulated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny
from shoestring.chips.host import this_machine
from shoestring.domain.budget import Budget
from shoestring.fitting import candidates, fit, mixing, programs

MAX_DROP = 0.05


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> tiny.Task:
    return tiny.write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, task: tiny.Task) -> Path:
    """The task fitted on ONNX Runtime."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "DEFAULT", ("onnxruntime",))
        patch.setattr(candidates, "measure", tiny.known_costs)
        patch.setattr(mixing, "measure_layers", tiny.known_layer_times)
        fit(task.model, task.data, budget=Budget(max_drop=MAX_DROP), cache=folder / "cache", out=folder / "a.shoe")
    return folder / "a.shoe"


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chip file of this machine."""
    machine = this_machine()
    if machine.arch != "x86_64":
        pytest.skip("the chip file is written for 64-bit x86")
    path = tmp_path_factory.mktemp("chips") / "here.toml"
    fact = 'value = "as seen"\nsource = "this machine"\ndate = "2026-01-01"\nstatus = "measured"\n'
    path.write_text(
        f'like = "n100-mini-pc-8gb"\nname = "here"\ntitle = "This machine"\nisa = {json.dumps(list(machine.isa))}\n'
        f"[isa_source]\n{fact}"
    )
    return path
