"""Small PyTorch networks and the files that PyTorch makes of them; and files that nobody should open."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed: torch")
pytest.importorskip("onnxscript", reason="the extra torch is not installed: onnxscript")

SIZE = 16
CLASSES = 5


class Net(torch.nn.Module):
    """Convolutions, batch norms, a depthwise layer, an addition, a pool and a linear layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.nn.BatchNorm2d(8), torch.nn.ReLU6()
        )
        self.depth = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(8, CLASSES)
        self.first[1].running_mean.uniform_(-1, 1)
        self.first[1].running_var.uniform_(0.5, 2)

    def forward(self, x):
        y = self.first(x)
        y = y + torch.nn.functional.silu(self.depth(y))
        return self.head(self.drop(y.mean((2, 3))))


def net() -> Any:
    return Net().eval()


def plain_stack() -> Any:
    """A network of torch's own classes, which a pickle finds without the code of tests."""
    torch.manual_seed(1)
    layers = (torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return torch.nn.Sequential(*layers, torch.nn.Linear(4, CLASSES)).eval()


def images(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).random((count, 3, SIZE, SIZE), dtype=np.float32)


def answers(module: Any, x: Any) -> Any:
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def exported(path: Path, module: Any | None = None, *, free: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    program = torch.export.export(module or net(), (torch.from_numpy(images(2)),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def rewritten(source: Path, target: Path, changes: dict[str, bytes], **options: Any) -> Path:
    """A copy of an archive in which members, named without their first directory, have other contents or are new."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **options) as new:
        root = old.namelist()[0].split("/", 1)[0]
        left = dict(changes)
        for name in old.namelist():
            new.writestr(name, left.pop(name.split("/", 1)[1], None) or old.read(name))
        for name, data in left.items():
            new.writestr(f"{root}/{name}", data)
    return target


class Runs:
    """When it is unpickled, `code` runs. Afterwards it is what torch.nn.Identity is."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return exec, (self.code, {})


def hostile_pickle(path: Path, code: str, *, legacy: bool = False) -> Path:
    """A file as torch.save writes it, whose opening runs `code`."""
    if legacy:
        path.write_bytes(pickle.dumps(Runs(code), protocol=2))
    else:
        torch.save({"state_dict": Runs(code)}, path)
    return path


def hostile_exported(source: Path, target: Path, place: str, code: str) -> Path:
    """An exported program with a pickle that runs `code` where torch.export.load unpickles."""
    hostile = io.BytesIO()
    torch.save((Runs(code),), hostile)
    if place == "sample inputs":
        return rewritten(source, target, {"data/sample_inputs/model.pt": hostile.getvalue()})
    with zipfile.ZipFile(source) as archive:
        name = next(name for name in archive.namelist() if name.endswith("model_weights_config.json"))
        config = json.loads(archive.read(name))
    first = next(iter(config["config"].values()))
    first["use_pickle"] = True
    changes = {
        "data/weights/model_weights_config.json": json.dumps(config).encode(),
        f"data/weights/{first['path_name']}": hostile.getvalue(),
    }
    return rewritten(source, target, changes)


def hostile_expression(source: Path, target: Path, code: str) -> Path:
    """An exported program whose batch is an expression of Python: torch gives it to sympy, which evaluates it."""
    with zipfile.ZipFile(source) as archive:
        name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        program = archive.read(name).decode()
    (symbol,) = json.loads(program)["range_constraints"]
    honest = json.dumps(f"Symbol('{symbol}', positive=True, integer=True)")
    evil = json.dumps(f"lambdify.__globals__['__builtins__']['exec']({code!r}, {{}})")
    assert honest in program
    return rewritten(source, target, {"models/model.json": program.replace(honest, evil).encode()})


def trial(outside: Path, port: int) -> str:
    """Code that tries to write, connect and execute, and dies telling how each went."""
    return f"""
import os, socket
said = []
def attempt(name, action):
    try:
        action()
        said.append(name + ' DONE')
    except OSError as error:
        said.append(name + ' refused')
attempt('write', lambda: open({str(outside / "written")!r}, 'w').write('x'))
attempt('read', lambda: open({str(outside / "secret")!r}).read())
attempt('connect', lambda: socket.create_connection(('127.0.0.1', {port}), 5))
attempt('execute', lambda: os.posix_spawn('/usr/bin/touch', ['touch', {str(outside / "executed")!r}], {{}}))
attempt('fork', lambda: os._exit(0) if os.fork() == 0 else os.wait())
os.write(2, ('TRIED ' + ', '.join(said)).encode())
os._exit(3)
"""
