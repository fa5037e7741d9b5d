"""Weights stored without their zeros are what LiteRT makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema

from shoestring.base.errors import ModelError
from shoestring.importers.tflite import sparse
from shoestring.importers.tflite.child import translate
from tflite_files import TfliteNet, run_litert, session_of


def level(size: int = 0, segments: list[int] | None = None, indices: list[int] | None = None, bits: int = 32) -> Any:
    made = schema.DimensionMetadataT()
    if segments is None:
        made.format, made.denseSize = schema.DimensionType.DENSE, size
        return made
    made.format = schema.DimensionType.SPARSE_CSR
    names = {32: ("Int32Vector", np.int32), 16: ("Uint16Vector", np.uint16), 8: ("Uint8Vector", np.uint8)}
    name, dtype = names[bits]
    for key, values in (("arraySegments", segments), ("arrayIndices", indices)):
        vector = getattr(schema, f"{name}T")()
        vector.values = np.asarray(values, dtype)
        setattr(made, key, vector)
        setattr(made, f"{key}Type", getattr(schema.SparseIndexVector, name))
    return made


def sparse_net(
    shape: tuple[int, ...], values: np.ndarray, order: list[int], blocks: list[int], levels: list[Any]
) -> TfliteNet:
    """y = x + the tensor with its zeros."""
    net = TfliteNet()
    x = net.input(*shape)
    weight = net.tensor(shape, data=values.astype(np.float32))
    how = schema.SparsityParametersT()
    how.traversalOrder, how.blockMap, how.dimMetadata = (
        np.asarray(order, np.int32),
        np.asarray(blocks, np.int32),
        levels,
    )
    net.tensors[weight].sparsity = how
    dense = net.add("DENSIFY", [weight], shape, options="DensifyOptions")
    net.add("ADD", [x, dense], shape, options="AddOptions")
    return net


def rows(bits: int = 32) -> TfliteNet:
    """A matrix of 3 x 5 in compressed rows; the second row is empty."""
    levels = [level(3), level(segments=[0, 2, 2, 5], indices=[1, 4, 0, 2, 3], bits=bits)]
    return sparse_net((3, 5), np.asarray([1.0, 2, 3, 4, 5]), [0, 1], [], levels)


def blocks() -> TfliteNet:
    """4 x 6 in blocks of 2 x 3: the upper right and the lower left one."""
    levels = [level(2), level(segments=[0, 1, 2], indices=[1, 0]), level(2), level(3)]
    return sparse_net((4, 6), np.arange(1.0, 13), [0, 1, 2, 3], [0, 1], levels)


@pytest.mark.parametrize("net", [rows(), rows(16), rows(8), blocks()], ids=["rows", "16 bits", "8 bits", "blocks"])
def test_same_values(tmp_path: Path, net: TfliteNet) -> None:
    data = net.data()
    x = np.random.default_rng(0).random(net.tensors[0].shape).astype(np.float32)
    session = session_of(data, tmp_path)
    (got,), (expected,) = session.run(None, {session.get_inputs()[0].name: x}), run_litert(data, [x])
    np.testing.assert_array_equal(got, expected)
    assert (got != x).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segments": [0, 2, 2, 9]}, "more values|too few indices"),
        ({"segments": [0, 2]}, "too few segments"),
        ({"segments": [0, 2, 1, 5]}, "more values"),
        ({"indices": [1, 4, 0, 2, 7]}, "places that it does not have"),
        ({"indices": [1, 4, 0]}, "too few indices"),
        ({"order": [1, 0]}, "in an order that is not read"),
        ({"order": [0, 0]}, "in an order that is not read"),
        ({"values": [1.0, 2.0]}, "places that it does not have"),
    ],
)
def test_false_claims(tmp_path: Path, changes: dict[str, list[Any]], words: str) -> None:
    right = {"segments": [0, 2, 2, 5], "indices": [1, 4, 0, 2, 3], "order": [0, 1], "values": [1.0, 2, 3, 4, 5]}
    found = {**right, **changes}
    levels = [level(3), level(segments=found["segments"], indices=found["indices"])]
    net = sparse_net((3, 5), np.asarray(found["values"]), found["order"], [], levels)
    (tmp_path / "in.tflite").write_bytes(net.data())
    request = {"source": str(tmp_path / "in.tflite"), "target": str(tmp_path / "made.onnx"), "shapes": {}}
    with pytest.raises(ModelError, match=words) as told:
        translate(request)
    assert told.value.hint


def test_a_block_in_the_wrong_place_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = sparse.densify
    monkeypatch.setattr(
        "shoestring.importers.tflite.tensors.densify", lambda values, *how: np.flip(right(values, *how), axis=0)
    )
    with pytest.raises(AssertionError):
        test_same_values(tmp_path, blocks())
