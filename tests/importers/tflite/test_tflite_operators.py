"""Each operator gives in ONNX what LiteRT gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("ai_edge_litert")

import tflite_cases_elements
import tflite_cases_moves
import tflite_cases_weighted
from shoestring.importers.tflite import convolutions
from tflite_cases import CASES
from tflite_files import TfliteNet, input_details, run_litert, session_of

MODULES = (tflite_cases_elements, tflite_cases_moves, tflite_cases_weighted)
"""Importing them fills CASES."""

TOLERANCE = 1e-5  # of the largest value


def draw(detail: dict[str, Any], seed: int) -> Any:
    chance, shape = np.random.default_rng(seed), detail["shape"]
    if detail["dtype"] == np.float32:
        return chance.uniform(-2, 2, shape).astype(np.float32)
    if detail["dtype"] == np.bool_:
        return chance.random(shape) < 0.5
    return chance.integers(1, 9, shape).astype(detail["dtype"])


def worst(data: bytes, folder: Path, feeds: list[Any] | None = None) -> float:
    """Largest difference from LiteRT, relative to its largest value."""
    found = feeds or [draw(detail, i) for i, detail in enumerate(input_details(data))]
    session = session_of(data, folder)
    names = [value.name for value in session.get_inputs()]
    images = [x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for x in found]
    got = session.run(None, dict(zip(names, images, strict=True)))
    differences = [0.0]
    for here, there in zip(got, run_litert(data, found), strict=True):
        plain = here.transpose(0, 2, 3, 1) if here.ndim == 4 else here
        assert plain.shape == there.shape and plain.dtype == there.dtype
        difference = np.abs(plain.astype(np.float64) - there.astype(np.float64))
        assert np.isfinite(difference).all()
        differences.append(float(difference.max() / max(1e-6, np.abs(there.astype(np.float64)).max())))
    return max(differences)


@pytest.mark.parametrize("name", CASES)
def test_same_function(tmp_path: Path, name: str) -> None:
    net = TfliteNet()
    CASES[name](net)
    assert worst(net.data(), tmp_path) < TOLERANCE


def test_what_the_file_computes_from_shapes_leaves_no_node(tmp_path: Path) -> None:
    net = TfliteNet()
    CASES["sizes that the file computes and states as 1"](net)
    session_of(net.data(), tmp_path)
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["ConvTranspose", "Relu"]


def test_padding_on_the_wrong_side_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = convolutions.window

    def swapped(*arguments: Any) -> tuple[int, int, int]:
        count, before, after = right(*arguments)
        return count, after, before

    net = TfliteNet()
    CASES["conv, same, stride 2 on an odd and an even side"](net)
    monkeypatch.setattr(convolutions, "window", swapped)
    assert worst(net.data(), tmp_path) > TOLERANCE
