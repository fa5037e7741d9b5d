"""Candidates on the runtimes of others, with runtimes whose answers and times are known."""

from __future__ import annotations

import numpy as np

from shoestring.base.errors import EngineError
from shoestring.domain.budget import Budget
from shoestring.runtimes import registry

BUDGET = Budget(max_drop=0.05, threads=1)
ALL = ("onnxruntime", "litert", "ncnn")
KNOWN_MS = {"fp32@litert": 3.9, "int8@litert": 0.8, "int8-float1@litert": 0.9, "fp32@ncnn": 9.0, "int8@ncnn": 5.0}


class Guest:
    """A runtime of others: ONNX Runtime under another name, with the faults that a test asks for.

    Attributes:
        fails: names of the faults by runtime: `load`, `run`, `nan`; or, at the n-th run, a number.
    """

    def __init__(self) -> None:
        self.fails: dict[str, str | int] = {}
        self.runs = 0

    def load(self, name, path, threads, *_):
        fault = self.fails.get(name)
        if fault == "load":
            raise EngineError(f"{name} crashed with SIGSEGV while it loaded {path.name}")
        return _Session(self, name, registry.get("onnxruntime").load(path, threads))


class _Session:
    def __init__(self, guest: Guest, name: str, session) -> None:
        self.guest, self.name, self.session = guest, name, session
        self.inputs, self.outputs = session.inputs, session.outputs

    def run(self, feeds):
        self.guest.runs += 1
        fault = self.guest.fails.get(self.name)
        if fault == "run" or (isinstance(fault, int) and self.guest.runs > fault):
            raise EngineError(f"{self.name} did not answer within 30 s")
        found = self.session.run(feeds)
        return {key: np.full_like(value, np.nan) if fault == "nan" else value for key, value in found.items()}

    def time_block(self, feeds, runs):
        return [KNOWN_MS.get(f"{'int8' if self.guest.runs % 2 else 'fp32'}@{self.name}", 1.0)] * runs

    def close(self):
        self.session.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
