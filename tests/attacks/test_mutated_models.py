"""Damaged model files by the thousand: the process that reads them may die, ours never, and nothing outside is told.

SHOESTRING_PROOF=200 python -m pytest tests/attacks/test_mutated_models.py     20,000 files a format
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

import mutating_formats as formats
from attacking import CANARY, Server, server
from mutating import endless
from proof_scale import SCALE
from shoestring.base import landlock

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")

FILES = 100 * SCALE
SEED = 8
MAX_GROWN_BYTES = 1 << 30
WARM = ("attack_server", "shoestring.importers.onnx_child", "shoestring.importers.tflite.child",
        "shoestring.importers.darknet.child", "shoestring.importers.weights", "onnx.reference")  # fmt: skip
# name -> maker of cases, reader, the file that is given, what else the request says
KINDS: dict[str, tuple[Callable[[Random], dict[str, bytes]], str, str, dict[str, str]]] = {
    "ONNX": (formats.onnx_case, "import_onnx", "in.onnx", {}),
    "TFLite": (formats.tflite_case, "import_tflite", "in.tflite", {}),
    "Darknet": (formats.darknet_case, "import_darknet", "net.cfg", {}),
    "GGUF": (formats.gguf_case, "read_weights", "in.gguf", {"kind": "gguf"}),
    "safetensors": (formats.safetensors_case, "read_weights", "in.safetensors", {"kind": "safetensors"}),
    "index": (formats.index_case, "read_weights", "in.safetensors.index.json", {"kind": "index"}),
}
# Readers in Python throughout: nothing there may end the process.
NEVER_DIE = {"GGUF", "safetensors", "index", "Darknet"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("attacked"), *WARM) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(3600)
def test_damaged_files_are_refused_or_read_and_nothing_else(running: Server, kind: str) -> None:
    make, reader, main, more = KINDS[kind]
    tally = running.run(f"attack_server:{reader}", endless(make, SEED), FILES, main, **more)
    print(f"\n{FILES:,} damaged {kind} files (seed {SEED}): {tally}")
    for death in tally.deaths:
        print(f"  {death}")
    assert tally.faults == []
    assert tally.outcomes["ModelError"] > FILES // 4  # the damage is felt
    assert tally.most_grown_bytes < MAX_GROWN_BYTES
    if kind in NEVER_DIE:
        assert tally.died == 0, tally.deaths


def test_sound_files_are_read(running: Server) -> None:
    """The damage is to what is read: the files themselves go through."""
    import onnx_graphs
    import weights_files

    plain = [("import_onnx", {"in.onnx": onnx_graphs.residual().SerializeToString()}, "in.onnx", {}),
             ("import_tflite", {"in.tflite": formats.TFLITE}, "in.tflite", {}),
             ("read_weights", {"in.gguf": weights_files.gguf()}, "in.gguf", {"kind": "gguf"})]  # fmt: skip
    for reader, files, main, more in plain:
        assert [one.outcome for one in running.ask(f"attack_server:{reader}", [files], main, **more)] == ["accepted"]


def test_a_reader_that_tells_what_stands_outside_would_be_seen(running: Server) -> None:
    """A saboteur, and the walls: what it reads without them it cannot with them."""
    case = {"in": str(running.root / "canary.bin").encode()}
    target = "attack_server:reads_what_it_is_told"
    assert running.ask(target, [case], "in", walls=False)[0].outcome == "accepted"
    told = running.ask(target, [case], "in")[0]
    assert told.outcome == "uncaught PermissionError" and CANARY.decode() not in told.message


def test_deaths_are_told_apart_and_the_batch_goes_on(running: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [{"in": kind.encode()} for kind in ("signal", "nothing", "memory", "signal")]
    told = [one.outcome for one in running.ask("attack_server:dies", cases, "in")]
    assert told == ["signal 6", "uncaught KeyError", "MemoryError", "signal 6"]
    assert running.alive()
