"""Pickles that run code: refused unless asked for, and then held. Left open, the same code does its work."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import torch_files
from shoestring.base import landlock, quarantine
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError, ShoestringError
from shoestring.importers import import_model, pytorch

if landlock.abi() == 0:
    pytest.skip("this kernel has no Landlock: such files are refused here", allow_module_level=True)

HELD = "TRIED write refused, read refused, connect refused, execute refused, fork refused"


class House:
    """A directory with a secret, a service that listens, and a model to be opened."""

    def __init__(self, root: Path, port: int) -> None:
        self.outside, self.inside = root / "outside", root / "inside"
        self.outside.mkdir()
        self.inside.mkdir()
        (self.outside / "secret").write_text("SECRET")
        self.model, self.out = self.inside / "model.pt", self.inside / "out.onnx"
        self.code = torch_files.trial(self.outside, port)

    def untouched(self) -> bool:
        files = sorted(path.name for path in self.outside.iterdir())
        return files == ["secret"] and (self.outside / "secret").read_text() == "SECRET" and not self.out.exists()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield House(tmp_path, server.getsockname()[1])


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return torch_files.exported(tmp_path_factory.mktemp("honest") / "model.pt2")


@pytest.mark.parametrize("legacy", [False, True])
def test_without_the_flag_nothing_is_opened(house: House, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "ask_child", lambda *_, **__: pytest.fail("a process was started"))
    torch_files.hostile_pickle(house.model, house.code, legacy=legacy)
    with pytest.raises(ModelError, match="can run any code when it is opened") as told:
        import_model(house.model, house.out)
    assert "--allow-pickle" in str(told.value.hint)
    assert house.untouched()


@pytest.mark.parametrize("legacy", [False, True])
def test_with_the_flag_it_runs_and_is_held(house: House, legacy: bool) -> None:
    torch_files.hostile_pickle(house.model, house.code, legacy=legacy)
    with pytest.raises(ModelError, match=HELD):
        import_model(house.model, house.out, allow_pickle=True)
    assert house.untouched()


def test_a_process_left_open_would_have_let_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "ENTRY", "closed_targets:left_open")
    torch_files.hostile_pickle(house.model, house.code)
    with pytest.raises(ModelError, match="TRIED write DONE, read DONE, connect DONE, execute DONE, fork DONE"):
        import_model(house.model, house.out, allow_pickle=True)
    assert not house.untouched()


@pytest.mark.parametrize("place", ["sample inputs", "a weight"])
def test_pickles_inside_an_exported_program_do_not_run(house: House, honest: Path, place: str) -> None:
    torch_files.hostile_exported(honest, house.model, place, house.code)
    with pytest.raises(ModelError) as told:
        import_model(house.model, house.out)
    assert "TRIED" not in str(told.value)
    assert house.untouched()


def test_an_expression_that_torch_evaluates_is_held(house: House, honest: Path) -> None:
    torch_files.hostile_expression(honest, house.model, house.code)
    with pytest.raises(ModelError, match=HELD):
        import_model(house.model, house.out)
    assert house.untouched()


FORGED = """
import os
for descriptor in range(1, 20):
    try:
        os.write(descriptor, {reply!r})
    except OSError:
        pass
os._exit({code})
"""


def _reply(result: object) -> bytes:
    return json.dumps({"result": {"result": result, "held": ["all"], "lacking": None}}).encode()


ENDINGS: dict[str, tuple[str, str]] = {
    "exits": (FORGED.format(reply=b"", code=0), "answered in no way of ours"),
    "answers nonsense": (FORGED.format(reply=b"[1, 2", code=0), "answered in no way of ours"),
    "answers deep nonsense": (FORGED.format(reply=b"[" * 100_000, code=0), "answered in no way of ours"),
    "says there are no errors": (FORGED.format(reply=_reply(["fine"]), code=0), "no ONNX model came out of it"),
    "answers no notes": (FORGED.format(reply=_reply({"a": 1}), code=0), "answered no notes"),
    "moves the cursor": ("raise RuntimeError('\\x1b[2J\\x1b]0;owned\\x07')", r"\?\[2J|RuntimeError: \?\]0;owned\?"),
    "takes memory": ("x = bytearray(3 * 10**9)\nfor i in range(0, len(x), 4096): x[i] = 1", "more than the limit|died"),
    "hangs": ("while True: pass", "not read within the limit of 8 s"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_however_it_ends_the_caller_says_one_thing_and_goes_on(house: House, name: str) -> None:
    code, words = ENDINGS[name]
    torch_files.hostile_pickle(house.model, code)
    seconds = 8 if name == "hangs" else 60
    with pytest.raises(ShoestringError, match=words) as told:
        import_model(house.model, house.out, allow_pickle=True, limits=ChildLimits(seconds, 2 * 10**9))
    assert type(told.value) is ModelError and told.value.hint
    assert "\x1b" not in str(told.value)
    assert house.untouched()
    assert sorted(path.name for path in house.inside.iterdir()) == ["model.pt"]


def test_a_model_that_was_forged_goes_through_the_quarantine_of_onnx(house: House) -> None:
    forged = "open(__import__('tempfile').tempdir + '/translated.onnx', 'wb').write(b'x' * 100)"
    code = forged + FORGED.format(reply=_reply([]), code=0)
    torch_files.hostile_pickle(house.model, code)
    with pytest.raises(ModelError, match="truncated, or not an ONNX file"):
        import_model(house.model, house.out, allow_pickle=True)
    assert house.untouched()
