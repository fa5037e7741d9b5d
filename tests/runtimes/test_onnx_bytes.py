"""What can be known of an ONNX file without the package onnx, held against that package."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoestring.base.errors import EngineError
from shoestring.runtimes.onnx_bytes import FLOAT16, read_facts

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def value(name, shape=(4,)):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def outside(name="w"):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="beside.bin")
    return tensor


def model(nodes=(), weights=(), sparse=(), **more):
    nodes = [helper.make_node("Add", ["x", "w"], ["y"]), *nodes]
    graph = helper.make_graph(
        nodes, "g", [value("x"), value("w")], [value("y"), value("x")], weights, sparse_initializer=sparse
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more)


def inside():
    return numpy_helper.from_array(np.ones(4, np.float32), "w")


def test_ends_are_named_in_order_and_weights_are_no_inputs():
    facts = read_facts(model(weights=[inside()]).SerializeToString())
    assert (facts.inputs, facts.outputs, facts.weights, facts.external) == (["x"], ["y", "x"], ["w"], [])
    assert read_facts(model().SerializeToString()).inputs == ["x", "w"]


def test_operators_and_types_are_told_inner_ones_too():
    facts = read_facts(
        model([branch(numpy_helper.from_array(np.ones(4, np.float16), "h"))], [inside()]).SerializeToString()
    )
    assert facts.operators == {"Add", "If", "Constant"}
    assert facts.types == {TensorProto.FLOAT, FLOAT16}
    assert read_facts(model().SerializeToString()).types == set()


def constant(tensor):
    return helper.make_node("Constant", [], ["c"], value=tensor)


def branch(tensor):
    graph = helper.make_graph([constant(tensor)], "b", [], [value("c")])
    return helper.make_node("If", ["x"], ["z"], then_branch=graph, else_branch=graph)


def sparse(tensor):
    return helper.make_sparse_tensor(tensor, numpy_helper.from_array(np.arange(4), "i"), [8])


def sparse_constant(tensor):
    return helper.make_node("Constant", [], ["c"], sparse_value=sparse(tensor))


def function(tensor):
    return helper.make_function("own", "F", [], ["c"], [constant(tensor)], [helper.make_opsetid("", 17)])


PLACES = {
    "initializer": lambda: model(weights=[outside()]),
    "constant": lambda: model([constant(outside())]),
    "branch": lambda: model([branch(outside())]),
    "branch in a branch": lambda: model(
        [helper.make_node("If", ["x"], ["q"], then_branch=helper.make_graph([branch(outside())], "o", [], []))]
    ),
    "sparse initializer": lambda: model(sparse=[sparse(outside())]),
    "sparse constant": lambda: model([sparse_constant(outside())]),
    "function": lambda: model(functions=[function(outside())]),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_kept_elsewhere_is_found_wherever_it_stands(place):
    assert set(read_facts(PLACES[place]().SerializeToString()).external) == {"w"}


def test_half_a_sign_is_enough():
    """A reader may go by the location flag alone, or by the file name alone."""
    flag, name = outside(), outside()
    del flag.external_data[:]
    name.data_location = TensorProto.DEFAULT
    for tensor in (flag, name):
        assert read_facts(model(weights=[tensor]).SerializeToString()).external == ["w"]


def test_a_last_word_that_takes_it_back_is_not_believed():
    """In protobuf the last of several values counts; some readers may go by another."""
    data = outside().SerializeToString() + b"\x70\x00"  # data_location = DEFAULT, once more
    graph = b"\x2a" + bytes([len(data)]) + data + b"\x62\x03\x0a\x01y"
    assert read_facts(b"\x3a" + bytes([len(graph)]) + graph).external == ["w"]


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"text, no model", b"\x0b", b"\x3a\x7f", b"\xff" * 20])
def test_what_is_no_model_is_refused(data):
    with pytest.raises(EngineError, match="no ONNX model"):
        read_facts(data)


def test_endless_nesting_is_refused():
    data = b""
    for _ in range(200):  # graph in attribute in node in graph
        for key in (0x32, 0x2A, 0x0A):
            size, length = len(data), b""
            while size >= 128:
                length += bytes([size & 127 | 128])
                size >>= 7
            data = bytes([key]) + length + bytes([size]) + data
    with pytest.raises(EngineError, match="no ONNX model"):
        read_facts(b"\x3a" + b"\xff\xff\x7f" + data)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=6))
def test_damage_is_refused_or_read_but_never_more(place, change):
    data = bytearray(model([branch(outside())], [inside()]).SerializeToString())
    data[place % len(data) : place % len(data) + len(change)] = change
    with contextlib.suppress(EngineError):
        read_facts(bytes(data))
