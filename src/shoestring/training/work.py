"""The directory of one distillation: what is done stays done."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring.base import canonical, disk
from shoestring.base.errors import StorageError, UsageError
from shoestring.compress.graph import Graph
from shoestring.training.lib import torch
from shoestring.training.loop import load_state
from shoestring.training.network import Network, add_empty_norms, to_graph
from shoestring.training.search import Found, Shape


@dataclass(frozen=True)
class Question:
    """What the result depends on; a directory holds the work of one question."""

    version: str
    model: str
    images: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Work:
    """Files of one distillation below `root`."""

    root: Path

    @staticmethod
    def open(root: Path, question: Question) -> Work:
        """The directory, made for this question or left from an earlier run of it.

        Raises:
            UsageError: it holds the work of another question.
            StorageError: it cannot be written.
        """
        disk.make_directory(root)
        path = root / "question.json"
        data = canonical.encode(question)
        if path.exists() and path.read_bytes() != data:
            raise UsageError(
                f"{root} holds another distillation: other model, images or settings",
                hint="name another --work directory, or remove this one",
            )
        if not path.exists():
            disk.write_bytes(path, data)
        return Work(root)

    def latencies(self) -> dict[Shape, float]:
        """Latencies measured so far, ms."""
        path = self.root / "latencies.json"
        if not path.exists():
            return {}
        return {
            one.shape: one.latency_ms for one in canonical.decode(path.read_bytes(), tuple[Found, ...], StorageError)
        }

    def keep_latencies(self, measured: Mapping[Shape, float]) -> None:
        """Keep what was measured so far."""
        found = tuple(Found(shape, value) for shape, value in measured.items())
        disk.write_bytes(self.root / "latencies.json", canonical.encode(found))

    def race(self, shape: Shape) -> Path:
        """Checkpoint of a contestant."""
        return self.root / f"race-{canonical.digest(shape)[:16]}.pt"

    def keep_start(self, found: Found, network: Network, graph: Graph) -> None:
        """Keep the chosen student as training starts from it."""
        disk.write_bytes(self.root / "start.onnx", to_graph(network, graph).to_bytes())
        stream = io.BytesIO()
        torch.save({"norms": list(network.norms), "state": network.state_dict()}, stream)
        disk.write_bytes(self.root / "start.pt", stream.getvalue())
        disk.write_bytes(self.root / "chosen.json", canonical.encode(found))  # last: its presence says all is there

    def start(self) -> tuple[Found, Network, Graph] | None:
        """What `keep_start` kept, or None."""
        path = self.root / "chosen.json"
        if not path.exists():
            return None
        found = canonical.decode(path.read_bytes(), Found, StorageError)
        graph = Graph.load(self.root / "start.onnx")
        network = Network(graph)
        state = load_state(self.root / "start.pt")
        add_empty_norms(network, state["norms"])
        network.load_state_dict(state["state"])
        return found, network, graph

    def stage(self, name: str) -> tuple[Path, Path]:
        """Checkpoint of a stage, and the file of its result."""
        return self.root / f"{name}.pt", self.root / f"{name}.onnx"
