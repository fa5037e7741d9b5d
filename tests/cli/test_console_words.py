"""What a stranger's file names cannot move a terminal's cursor or colour its words."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import tiny
from shoestring.cli import console
from shoestring.cli.main import main

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9bm\u202ename"


def test_what_a_terminal_would_act_on_is_escaped() -> None:
    shown = console.clean(HOSTILE)
    assert shown == r"\x1b[2J\x1b]0;owned\x07\x9bm\u202ename"
    assert console.clean("Zoë\nTür 4 °C") == "Zoë\nTür 4 °C"


def test_words_and_tables_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(HOSTILE)
    console.show_table(("name",), [(HOSTILE,)])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "owned" in told.out
    assert "owned" in told.err


def test_a_models_names_are_shown_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny.make_model()
    old = model.graph.input[0].name
    model.graph.input[0].name = HOSTILE
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = HOSTILE
    path = tmp_path / "hostile.onnx"
    onnx.save(model, path)
    code = main(["inspect", str(path)])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "owned" in told.out + told.err
    assert code in (0, 1)
