"""`import shoestring`: every public name resolves, three lines do the main job, and nothing heavy comes with it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import shoestring as ss
import tiny
from shoestring.fitting import candidates, mixing, tried


@pytest.mark.parametrize("name", ss.__all__)
def test_every_public_name_resolves_and_says_what_it_is(name):
    value = getattr(ss, name)
    assert value is not None
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__, f"{name} has no docstring"


def test_the_public_names_are_sorted_and_others_are_refused():
    assert list(ss.__all__) == sorted(ss.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ss.nonsense


def test_three_lines_do_the_main_job(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    monkeypatch.setattr(tried, "DEFAULT", ("onnxruntime",))  # compiling is tested elsewhere
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path / "cache"))
    task, camera = tiny.write_task(tmp_path, count=150), tmp_path / "camera.shoe"

    fitted = ss.fit(task.model, task.data, budget=ss.Budget(max_drop=0.05), out=camera)
    with ss.open_bundle(camera) as bundle, ss.Player(bundle) as player:
        (answer,) = player.classify([np.asarray(Image.open(task.data / "red" / "0002.png"))])

    assert isinstance(fitted, ss.Fitted) and player.rung.name == fitted.ladder.chosen
    assert answer.top[0][1] == "red"
    with pytest.raises(ss.ShoestringError, match="there is no file"):
        ss.fit(tmp_path / "none.onnx", task.data)


@pytest.mark.parametrize("statement", ["import shoestring", "import shoestring.device", "import shoestring.bundle"])
def test_nothing_heavy_is_imported(statement):
    heavy = {"torch", "onnx", "scipy", "onnxruntime", "jinja2", "optuna"}
    if statement == "import shoestring":
        heavy |= {"numpy", "PIL", "rich", "msgspec"}
    code = f"import sys\n{statement}\nprint(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
