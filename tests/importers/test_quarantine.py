"""Every importer's process has shut itself in before it opens the file; where a kernel cannot, that is said."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import closed_room
import closed_targets
import darknet_nets
import onnx_graphs
import tflite_files
import weights_files
from shoestring.base import landlock, quarantine
from shoestring.base.errors import ModelError
from shoestring.importers import import_model
from shoestring.importers.trained_on import trained_on
from shoestring.importers.weights import read_weights

ROOT = Path(quarantine.__file__).parents[1]
needs_landlock = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


def _onnx(folder: Path) -> None:
    import_model(onnx_graphs.save(onnx_graphs.conv_bn_relu(), folder / "in.onnx"), folder / "out.onnx")


def _tflite(folder: Path) -> None:
    net = tflite_files.TfliteNet()
    net.add("RELU", [net.input(1, 4)], (1, 4))
    (folder / "in.tflite").write_bytes(net.data())
    import_model(folder / "in.tflite", folder / "out.onnx")


def _darknet(folder: Path) -> None:
    import numpy as np

    text = darknet_nets.net(8) + darknet_nets.conv(2, 1, norm=0)
    import_model(darknet_nets.write(folder, text, np.ones(8)), folder / "out.onnx")


def _pickle(folder: Path) -> None:
    (folder / "in.pt").write_bytes(b"\x80\x02N.")
    import_model(folder / "in.pt", folder / "out.onnx", allow_pickle=True)


def _gguf(folder: Path) -> None:
    (folder / "in.gguf").write_bytes(weights_files.gguf())
    read_weights(folder / "in.gguf")


def _safetensors(folder: Path) -> None:
    (folder / "in.safetensors").write_bytes(weights_files.safetensors())
    read_weights(folder / "in.safetensors")


def _index(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(weights_files.safetensors())
    names = [name for name in weights_files.TENSORS if name != "__metadata__"]
    index = {"weight_map": dict.fromkeys(names, "model.safetensors")}
    (folder / "in.safetensors.index.json").write_text(json.dumps(index))
    read_weights(folder / "in.safetensors.index.json")


def _trained_on(folder: Path) -> None:
    trained_on(onnx_graphs.save(onnx_graphs.conv_bn_relu(), folder / "in.onnx"))


READERS: dict[str, Callable[[Path], None]] = {
    "ONNX": _onnx, "TFLite": _tflite, "Darknet": _darknet, "pickle": _pickle, "GGUF": _gguf,
    "safetensors": _safetensors, "index of safetensors": _index, "training images": _trained_on,
}  # fmt: skip
NEED_TORCH = {"pickle"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The model's directory, with the room's description in it."""
    with closed_room.furnished(tmp_path) as room:
        made = tmp_path / "model"
        made.mkdir()
        (made / closed_targets.ROOM_FILE).write_text(json.dumps(room))
        yield made


def _with_room_at_hand(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> str:
    """What the reader answers when `target` stands in its way in."""
    if name in NEED_TORCH:
        pytest.importorskip("torch")
    ask = quarantine.ask

    def ask_there(child: str, request: object, limits: object, walls: quarantine.Walls, **more: object) -> object:
        beside = walls.readable[0].absolute().parent
        if beside != folder:  # a scratch copy of the file: the room stands beside that
            shutil.copy(folder / closed_targets.ROOM_FILE, beside / closed_targets.ROOM_FILE)
        return ask(child, request, limits, walls, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(quarantine, "ask", ask_there)
    monkeypatch.setattr(quarantine, "ENTRY", f"closed_targets:{target}")
    with pytest.raises(ModelError) as told:
        READERS[name](folder)
    return told.value.message


@needs_landlock
@pytest.mark.parametrize("name", READERS)
def test_a_reader_that_was_taken_over_can_do_nothing(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(closed_targets.misdeeds({"outside": "", "victim": "0", "secret": "", "tcp": "0", "unix": ""}))
    assert _with_room_at_hand(name, folder, monkeypatch, "tempted") == f"TRIED {count}, DONE []"
    outside = folder.parent / "outside"
    assert (outside / "secret").read_text() == "SECRET" and [one.name for one in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize("name", READERS)
def test_one_that_was_left_open_would_be_seen(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _with_room_at_hand(name, folder, monkeypatch, "tempted_and_open") == "TRIED {'read a file': 'done'}"


@pytest.mark.parametrize("name", ["ONNX", "TFLite"])
@needs_landlock
def test_a_kernel_without_the_means_is_named_or_refused(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    READERS[name](folder)  # leaves the files behind
    source = next(path for path in folder.iterdir() if path.stem in ("in", "net") and path.suffix != ".weights")
    assert not any("cannot close" in note for note in import_model(source, folder / "closed.onnx").notes)
    monkeypatch.setattr(quarantine, "ENTRY", "closed_targets:without_landlock")
    notes = import_model(source, folder / "open.onnx").notes
    assert sum("cannot close a process: it is without Landlock; the file was read" in note for note in notes) == 1
    assert (folder / "open.onnx").read_bytes() == (folder / "closed.onnx").read_bytes()
    with pytest.raises(ModelError, match=r"was not opened: this kernel .* without Landlock") as told:
        import_model(source, folder / "refused.onnx", require_quarantine=True)
    assert told.value.hint and not (folder / "refused.onnx").exists()


def test_weights_on_a_kernel_without_the_means(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _gguf(folder)
    monkeypatch.setattr(quarantine, "ENTRY", "closed_targets:without_landlock")
    found, lacking = read_weights(folder / "in.gguf")
    assert found.architecture == "llama" and lacking is not None and "without Landlock" in lacking
    with pytest.raises(ModelError, match="was not opened"):
        read_weights(folder / "in.gguf", require_quarantine=True)


def test_the_child_sees_next_to_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    here = str(Path(__file__).parents[1])
    walls = quarantine.Walls((Path(here),), ())
    told = quarantine.ask("closed_targets:environment", None, quarantine.ChildLimits(30), walls)
    assert "SECRET_TOKEN" not in told.result and set(told.result) <= {
        *quarantine.ONE_THREAD,
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LD_LIBRARY_PATH",
    }


FORGED: dict[str, object] = {
    "nothing": None,
    "a list": [1],
    "no words": {"result": {}},
    "words of another kind": {"result": {}, "held": "all", "lacking": None},
    "a number for words": {"result": {}, "held": [], "lacking": 3},
    "words that move the cursor": {"result": {}, "held": [], "lacking": "\x1b[2J"},
    "another result": {"result": {"a": 1}, "held": [], "lacking": None},
}


@pytest.mark.parametrize("name", FORGED)
def test_an_answer_of_another_form_is_one_clear_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / closed_targets.ROOM_FILE).write_text(json.dumps(FORGED[name]))
    monkeypatch.setattr(quarantine, "ENTRY", "closed_targets:forged_answer")
    source = onnx_graphs.save(onnx_graphs.conv_bn_relu(), tmp_path / "in.onnx")
    with pytest.raises(ModelError):
        import_model(source, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


LOADS = re.compile(
    r"\bpickle\.(load|loads|Unpickler)|\btorch\.load\(|jit\.load\(|export\.load\(|allow_pickle=True\b(?!,)|"
    r"\b(marshal|shelve|joblib|dill|cloudpickle)\b|\byaml\.(unsafe_)?load\("
)


def test_pickles_are_loaded_inside_the_quarantine_alone() -> None:
    """Over the source: what loads pickles stands in one file, which is named in one place, with walls required."""
    allowed = {
        "importers/pytorch_child.py",
        "training/loop.py",  # its own checkpoint, tensors only (weights_only)
    }
    found = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if LOADS.search(_code(path))}
    assert found == allowed
    named = [path for path in ROOT.rglob("*.py") if "pytorch_child" in path.read_text()]
    assert [path.name for path in named] == ["pytorch.py"]
    text = named[0].read_text()
    assert text.count("pytorch_child") == 1 and text.count("Walls(") == 1 and "required=True" in text
    assert "weights_only=True" in (ROOT / "training/loop.py").read_text()


def _code(path: Path) -> str:
    """The file without its strings of documentation and its comments."""
    return re.sub(r'"""(?:.|\n)*?"""|#.*', "", path.read_text())


def test_every_reader_goes_one_way() -> None:
    """Over the source: in this room nobody starts a child but by the quarantine."""
    for path in (ROOT / "importers").rglob("*.py"):
        assert "run_in_child(" not in _code(path), path
        assert not re.search(r"\bsubprocess\b|\bos\.(system|fork|exec)", _code(path)), path


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@needs_landlock
def test_seen_from_outside_nothing_else_is_opened(tmp_path: Path) -> None:
    """strace sees every file that is opened once the walls stand, which our own account of it cannot prove."""
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(b"SECRET")
    source = onnx_graphs.save(onnx_graphs.residual(), tmp_path / "model" / "in.onnx")
    code = (
        "import sys; from shoestring.importers import import_model; "
        f"import_model({str(source)!r}, {str(tmp_path / 'model' / 'out.onnx')!r})"
    )
    trace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(tmp_path / "trace"),
        "-e",
        "trace=open,openat,openat2,landlock_restrict_self",
    ]
    done = subprocess.run([*trace, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("this machine does not let processes be traced")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "trace").read_text().splitlines()
    closed = {line.split()[0] for line in lines if "landlock_restrict_self" in line and "= 0" in line}
    assert len(closed) == 1
    first = next(at for at, line in enumerate(lines) if "landlock_restrict_self" in line)
    opened = [
        line for line in lines[first + 1 :] if line.split()[0] in closed and "= -1" not in line and "open" in line
    ]
    allowed = re.compile(
        r'"(/usr|/lib|/lib64|/proc/self|/proc/cpuinfo|/proc/meminfo|/sys/devices/system|/dev/null|/dev/urandom|/etc/ld\.so\.cache'
        rf"|/etc/localtime|{re.escape(sys.prefix)}|{re.escape(sys.base_prefix)}|{re.escape(str(ROOT.parent))}|{re.escape(str(source.parent))})[/\"]"
    )
    assert len(opened) > 10 and [line for line in opened if not allowed.search(line)] == []
