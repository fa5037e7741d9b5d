"""Damaged TFLite files give an EngineError or an answer, in a process that lives on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert")

from native.qdq_models import Sketch
from shoestring.convert.tflite import convert

DAMAGES = 250

CHILD = """
import sys
sys.path[:] = {path!r}
import numpy as np
from shoestring.base.errors import EngineError
from shoestring.runtimes.litert import LiteRtRuntime

data = open({file!r}, "rb").read()
rng = np.random.default_rng({seed})
refused = answered = 0
for number in range({count}):
    if {truncate}:
        damaged = data[: int(rng.integers(0, len(data)))]
    else:
        damaged = bytearray(data)
        for place in rng.choice(len(data), int(rng.integers(1, 4))):
            damaged[int(place)] ^= 1 << int(rng.integers(0, 8))
        damaged = bytes(damaged)
    try:
        with LiteRtRuntime().load(damaged, 1) as session:
            session.run({{one.name: np.ones([n or 1 for n in one.shape], one.dtype) for one in session.inputs}})
        answered += 1
    except EngineError as error:
        assert chr(10) not in error.message
        refused += 1
print(refused, answered)
"""


def small_network() -> bytes:
    """Convolutions, a sum, a pool, a function and a product, in 8 bits: most of the file is structure."""
    sketch = Sketch(1, 3, 8, 8)
    x = sketch.pair("x")
    y = sketch.pair(sketch.add("Conv", x, sketch.weight8(8, 3, 3, 3), pads=[1] * 4), 0.05, 0)
    z = sketch.pair(sketch.add("Conv", y, sketch.weight8(8, 1, 3, 3), group=8, pads=[1] * 4), 0.05, 90)
    z = sketch.pair(sketch.add("LeakyRelu", sketch.pair(sketch.add("Add", y, z), 0.07, 80), alpha=0.1), 0.06, 20)
    pooled = sketch.pair(sketch.add("MaxPool", z, kernel_shape=[2, 2], strides=[2, 2]), 0.06, 20)
    flat = sketch.add("Flatten", sketch.pair(sketch.add("GlobalAveragePool", pooled), 0.03, 20))
    return sketch.bytes(sketch.add("Gemm", flat, sketch.weight8(10, 8), transB=1))


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "model.tflite"
    path.write_bytes(convert(small_network()).data)
    return path


def survived(file: Path, seed: int, *, truncate: bool) -> tuple[int, int]:
    """How many damaged files were refused, and how many answered; the process must end well."""
    words = CHILD.format(path=sys.path, file=str(file), seed=seed, count=DAMAGES, truncate=truncate)
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    assert done.stderr == "", "LiteRT's words are in the errors"
    refused, answered = (int(word) for word in done.stdout.split())
    return refused, answered


def test_truncated_files_are_refused(file):
    refused, answered = survived(file, 1, truncate=True)
    assert (refused, answered) == (DAMAGES, 0)


@pytest.mark.parametrize("seed", [2, 3])
def test_flipped_bits(file, seed):
    refused, answered = survived(file, seed, truncate=False)
    assert refused + answered == DAMAGES
    assert min(refused, answered) > 20, "the damage must be neither harmless nor hopeless"
