"""Which dimensions stay free, which are fixed, and which are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import pytest
from onnx import TensorProto, helper

import onnx_graphs
from onnx_graphs import floats, weight
from shoestring.base.errors import ModelError, UsageError
from shoestring.importers.onnx_child import normalise

if TYPE_CHECKING:
    from pathlib import Path


def convolution(*shape: int | str | None, output: list[Any] | None = None) -> Any:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    outputs = output or [floats("y", None, None, None, None)]
    return onnx_graphs.model([node], [weight("w", 4, 3, 3, 3)], inputs=[floats("x", *shape)], outputs=outputs)


def read(made: Any, folder: Path, *, batch_free: bool = True, **shapes: list[int | None]) -> dict[str, Any]:
    source = onnx_graphs.save(made, folder / "in.onnx")
    return normalise(
        {"source": str(source), "target": str(folder / "out.onnx"), "batch_free": batch_free, "shapes": shapes}
    )


def test_a_free_batch_stays_free_and_gets_a_name(tmp_path: Path) -> None:
    reply = read(convolution(None, 3, 8, 8), tmp_path)
    assert reply["inputs"][0]["shape"] == [None, 3, 8, 8]
    assert reply["outputs"][0]["shape"] == [None, 4, 6, 6]
    result = onnx.load(tmp_path / "out.onnx").graph
    assert result.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert result.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_free_batch_can_be_fixed(tmp_path: Path) -> None:
    reply = read(convolution("n", 3, 8, 8), tmp_path, batch_free=False)
    assert reply["inputs"][0]["shape"] == [1, 3, 8, 8]
    assert reply["outputs"][0]["shape"] == [1, 4, 6, 6]


def test_a_fixed_batch_is_kept_and_noted(tmp_path: Path) -> None:
    reply = read(convolution(2, 3, 8, 8), tmp_path)
    assert reply["inputs"][0]["shape"] == [2, 3, 8, 8]
    assert reply["notes"] == ["input 'x' has its batch fixed at 2"]


@pytest.mark.parametrize("marker", [0, -1])
def test_zero_and_minus_one_mean_free(tmp_path: Path, marker: int) -> None:
    assert read(convolution(marker, 3, 8, 8), tmp_path)["inputs"][0]["shape"] == [None, 3, 8, 8]


def test_an_open_image_size_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"'x' has the shape \(\?, 3, \?, \?\), which leaves dimension 2 and 3"
    ) as told:
        read(convolution("n", 3, "height", "width"), tmp_path)
    assert "(None, 3, 224, 224)" in str(told.value.hint)


def test_given_shapes_fix_what_is_open_and_stale_outputs_are_inferred_again(tmp_path: Path) -> None:
    made = convolution("n", 3, "size", "size", output=[floats("y", "n", 4, "size", 99)])
    reply = read(made, tmp_path, x=[None, 3, 32, None])
    assert reply["inputs"][0]["shape"] == [None, 3, 32, 32]
    assert reply["outputs"][0]["shape"] == [None, 4, 30, 30]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([1, 3, 8], "has 4 dimensions"),
        ([1, 4, 8, 8], "fixed shape"),
        ([1, 3, 0, 8], "outside"),
        ([1, 3, 2**40, 8], "outside"),
        ([1, 3, 8, 9], "both 8 and 9"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path: Path, shape: list[int | None], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(convolution("n", 3, "s", "s"), tmp_path, x=shape)


def test_shapes_for_an_unknown_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shapes names 'image', but the inputs are x"):
        read(convolution("n", 3, 8, 8), tmp_path, image=[1, 3, 8, 8])


def test_a_free_sequence_is_noted_rather_than_refused(tmp_path: Path) -> None:
    made = onnx_graphs.model(
        [helper.make_node("Relu", ["x"], ["y"])],
        [],
        inputs=[floats("x", "n", "time")],
        outputs=[floats("y", "n", "time")],
    )
    reply = read(made, tmp_path)
    assert reply["inputs"][0]["shape"] == [None, None]
    assert reply["notes"] == ["input 'x' keeps free dimensions: (?, ?)"]


def test_an_output_without_a_shape_gets_one(tmp_path: Path) -> None:
    made = convolution("n", 3, 8, 8)
    made.graph.output[0].type.tensor_type.ClearField("shape")
    assert read(made, tmp_path)["outputs"][0]["shape"] == [None, 4, 6, 6]


def test_an_input_without_a_shape_is_asked_for_or_given(tmp_path: Path) -> None:
    made = convolution("n", 3, 8, 8)
    made.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match="input 'x' has no shape"):
        read(made, tmp_path)
    assert read(made, tmp_path, x=[None, 3, 8, 8])["outputs"][0]["shape"] == [None, 4, 6, 6]


def test_sequences_are_refused(tmp_path: Path) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    made = onnx_graphs.model(
        [helper.make_node("SequenceAt", ["x", "i"], ["y"])],
        [onnx_graphs.tensor("i", 0)],
        inputs=[helper.make_value_info("x", kind)],
        outputs=[floats("y", 1)],
    )
    with pytest.raises(ModelError, match="input 'x' is not a tensor"):
        read(made, tmp_path)
