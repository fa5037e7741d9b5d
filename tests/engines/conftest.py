"""Real tasks to run on engines: probes of the tiny network's layers, many times over, each with its own arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import tiny
from shoestring.base import canonical
from shoestring.compress.bias import float_means, output_spans
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.scheme import scheme_for
from shoestring.compress.sensitivity import Probing
from shoestring.compress.walk import final_outputs
from shoestring.domain.evidence import Sensitivity
from shoestring.engines.protocol import Task
from shoestring.fitting import spread


def make_probing(folder: Path, examples: int) -> Probing:
    """The tiny network, ready to be probed."""
    path = folder / "tiny.onnx"
    path.write_bytes(tiny.make_model().SerializeToString(deterministic=True))
    graph = Graph.load(path)
    images, _ = tiny.make_images(examples, seed=3)
    batches = [{"image": images.astype(np.float32).transpose(0, 3, 1, 2) / 255}]
    ranges = value_ranges(graph, lambda: iter(batches), needed_ranges(graph))
    wanted = float_means(graph, batches, 1, output_spans(graph, ranges, scheme_for(("avx2",)).activation_limits))
    return Probing(graph, ranges, scheme_for(("avx2",)), batches, 1, wanted, final_outputs(graph, batches, 1))


@pytest.fixture(scope="session")
def probing(tmp_path_factory: pytest.TempPathFactory) -> Probing:
    """Probes take a few milliseconds."""
    return make_probing(tmp_path_factory.mktemp("probing"), 32)


@pytest.fixture(scope="session")
def long_probing(tmp_path_factory: pytest.TempPathFactory) -> Probing:
    """Probes take part of a second."""
    return make_probing(tmp_path_factory.mktemp("long"), 2_000)


class Catcher:
    """An engine that keeps the tasks it is given and runs none."""

    name, workers = "catcher", 1

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def map(self, tasks: Sequence[Task], done: Callable[[int, int], None]) -> list[bytes]:
        self.tasks += tasks
        return [canonical.encode(Sensitivity(task.arguments["layer"], "Conv", 0.0, 0.0)) for task in tasks]


def tasks_of(probing: Probing) -> list[Task]:
    """One task a layer, as a fit sends them."""
    catcher = Catcher()
    spread.probes(catcher)(probing, lambda done, total: None)  # type: ignore[arg-type]
    return catcher.tasks


@pytest.fixture(scope="session")
def probes(probing: Probing) -> list[Task]:
    """A task a layer."""
    return tasks_of(probing)


@pytest.fixture(scope="session")
def long_probes(long_probing: Probing) -> list[Task]:
    """Likewise, of the slower ones."""
    return tasks_of(long_probing)


@pytest.fixture(scope="session")
def answers(probing: Probing) -> list[bytes]:
    """What the probes answer in this process."""
    return [canonical.encode(probing.layer(name)) for name in probing.layers]


@pytest.fixture(scope="session")
def long_answers(long_probing: Probing) -> list[bytes]:
    """Likewise, of the slower ones."""
    return [canonical.encode(long_probing.layer(name)) for name in long_probing.layers]


@pytest.fixture(scope="session")
def foreign(probes: list[Task]) -> Task:
    """A task of a machine with other instruction sets."""
    arguments = {**probes[0].arguments, "stamp": {**probes[0].arguments["stamp"], "instruction set": "z80 none"}}
    return dataclasses.replace(probes[0], arguments=arguments)
