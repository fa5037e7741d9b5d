"""Tensors of the protocol: what is read, what is written, what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shoestring.base.errors import DataError
from shoestring.device.serve.tensors import OUTPUTS, read_request, write_response

SHAPE = (2, 3, 3)
PIXELS = np.arange(18, dtype=np.uint8).reshape(1, *SHAPE)


def request(pixels: np.ndarray = PIXELS, *, data: Any = None, top: Any = None, **more: Any) -> bytes:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": list(pixels.shape)}
    tensor["data"] = pixels.ravel().tolist() if data is None else data
    return json.dumps({"inputs": [{**tensor, **more}], **(top or {})}).encode()


def read(body: bytes, json_bytes: int | None = None, batch: int = 4) -> Any:
    return read_request(body, json_bytes, SHAPE, batch, OUTPUTS)


def in_binary(pixels: np.ndarray, **more: Any) -> tuple[bytes, int]:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": list(pixels.shape)}
    tensor["parameters"] = {"binary_data_size": pixels.size}
    text = json.dumps({"inputs": [tensor], **more}).encode()
    return text + pixels.tobytes(), len(text)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), *map(st.just, SHAPE))))
def test_pixels_come_as_they_were_sent(pixels: np.ndarray) -> None:
    for body, length in (
        (request(pixels), None),
        (request(pixels, data=pixels.tolist()), None),
        in_binary(pixels),
    ):
        asked = read(body, length)
        assert asked.pixels.dtype == np.uint8
        np.testing.assert_array_equal(asked.pixels, pixels)


def test_what_is_not_said_has_the_protocols_defaults() -> None:
    asked = read(request())
    assert (asked.id, asked.timeout_s) == (None, None)
    assert asked.outputs == tuple((name, False) for name in OUTPUTS)
    body, length = in_binary(PIXELS, parameters={"binary_data_output": True, "timeout": 250_000}, id="7")
    asked = read(body, length)
    assert (asked.id, asked.timeout_s) == ("7", 0.25)
    assert asked.outputs == tuple((name, True) for name in OUTPUTS)
    chosen = [{"name": "rung", "parameters": {"binary_data": True}}, {"name": "outputs"}]
    assert read(request(top={"outputs": chosen})).outputs == (("rung", True), ("outputs", False))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not one of the Open Inference Protocol"),
        (b"[]", "Expected `object`"),
        (b'{"inputs": []}', "the inputs are none"),
        (b"\xff\xfe", "not one of"),
        (b"[" * 100_000, "not one of"),
        (request(name="x"), "'x'; the model takes one, 'pixels'"),
        (request(datatype="FP32"), "FP32"),
        (request(shape=[1, 2, 3, 4]), "the model takes UINT8"),
        (request(shape=[0, *SHAPE]), "n from 1 to 4"),
        (request(shape=[5, *SHAPE]), "n from 1 to 4"),
        (request(shape=[-1, *SHAPE]), "n from 1 to 4"),
        (request(shape=[]), "the model takes"),
        (request(shape=[2**70, *SHAPE]), "the model takes"),
        (request(data=[0] * 17), "do not have the 18 numbers"),
        (request(data=[0] * 19), "do not have the 18 numbers"),
        (request(data=[256] * 18), "not all from 0 to 255"),
        (request(data=[2**80] * 18), "not all from 0|out of range"),
        (request(data=[[[[256] * 3] * 3] * 2]), "`int` <= 255"),
        (request(data=[-1] * 18), "not all from 0 to 255"),
        (request(data=[1.5] * 18), "Expected `int`"),
        (request(data=[True] * 18), "Expected `int`"),
        (request(data=["1"] * 18), "Expected `int`"),
        (request(data=PIXELS.reshape(1, 3, 2, 3).tolist()), "do not have"),
        (request(data=[[[[0, 0, 0]] * 4, [[0, 0, 0]] * 2]]), "not nested as"),
        (request(data=[[[[0, 0], [0] * 4, [0] * 3], [[0] * 3] * 3]]), "not nested as"),
        (request(data=[[[[0, 0, 0]], [[0, 0]]]]), "do not have"),
        (request(data={}), "do not have"),
        (request(data=[]), "do not have"),
        (request(data={str(i): 0 for i in range(18)}), "do not have"),
        (request(parameters={"shared_memory_region": "x"}), "unknown field"),
        (request(top={"parameters": {"sequence_id": 1}}), "unknown field"),
        (request(top={"parameters": {"timeout": -1}}), ">= 0"),
        (request(top={"outputs": [{"name": "logits"}]}), "'logits' is unknown"),
        (request(top={"outputs": [{"name": "rung"}, {"name": "rung"}]}), "named twice"),
        (request(top={"outputs": [{"name": "rung", "parameters": {"classification": 3}}]}), "unknown field"),
        (request() + b" {}", "not one of"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(body)


def test_binary_data_that_do_not_fit_are_refused() -> None:
    body, length = in_binary(PIXELS)
    for broken, said, words in (
        (body[:-1], length, "17 bytes and says 18"),
        (body + b"x", length, "19 bytes"),
        (body, len(body) + 1, "Inference-Header-Content-Length"),
        (body, length - 1, "not one of"),
        (request() + b"x", len(request()), "no input says"),
        (body.replace(b": 18}", b": 17}"), length, "says 17"),
    ):
        with pytest.raises(DataError, match=words):
            read(broken, said)
    both = request(parameters={"binary_data_size": 18})
    with pytest.raises(DataError, match="both as JSON and in binary"):
        read(both + PIXELS.tobytes(), len(both))
    without = json.dumps({"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, *SHAPE]}]}).encode()
    with pytest.raises(DataError, match="has no data"):
        read(without)


def test_a_response_holds_the_same_values_either_way() -> None:
    values = np.array([[0.1, -2.5], [1e-30, 3e38]], np.float32)
    held = {"outputs": values, "rung": np.array(["int8", "größer"])}
    text, length = write_response({"model_name": "m"}, held, (("outputs", False), ("rung", False)))
    assert length is None
    said = json.loads(text)
    assert said["outputs"][1] == {"name": "rung", "shape": [2], "datatype": "BYTES", "data": ["int8", "größer"]}
    np.testing.assert_array_equal(np.float32(said["outputs"][0]["data"]).reshape(2, 2), values)
    body, length = write_response({"model_name": "m"}, held, (("rung", True), ("outputs", True)))
    said, tail = json.loads(body[:length]), body[length:]
    sizes = [output["parameters"]["binary_data_size"] for output in said["outputs"]]
    assert sizes == [4 + 4 + 4 + 8, 16]
    assert sum(sizes) == len(tail)
    assert tail[:8] == b"\x04\0\0\0int8"
    np.testing.assert_array_equal(np.frombuffer(tail[sizes[0] :], "<f4").reshape(2, 2), values)
