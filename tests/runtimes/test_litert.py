"""What is LiteRT's own; the promises all runtimes make are in contract/."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from litert_models import tiny_model
from shoestring.base.errors import EngineError
from shoestring.convert.tflite.flat import Flat, Scales
from shoestring.domain.model import TensorSpec
from shoestring.runtimes import registry
from shoestring.runtimes.edge_tpu import LIBRARY, EdgeTpuRuntime
from shoestring.runtimes.litert import LiteRtRuntime
from shoestring.runtimes.litert_ports import METADATA, LitertPort, read_ports, write_ports


def turned(layout=(0, 2, 3, 1), *, free: bool = True, kind: str = "float32", entry: bytes | None = None) -> bytes:
    """A file of y = relu(x) whose image lies N, H, W, C in memory, with our entry."""
    flat = Flat()
    scales = Scales(np.array([0.5]), np.array([0])) if kind == "int8" else None
    x, y = flat.tensor("x", (1, 3, 4, 2), kind, scales), flat.tensor("y", (1, 3, 4, 2), kind, scales)
    flat.operator("RELU", (x,), y, int8=kind == "int8")
    port = (LitertPort("image", layout, free),), (LitertPort("answer", layout, free),)
    flat.metadata(METADATA, write_ports(*port) if entry is None else entry)
    return flat.finish((x,), (y,), "turned")


def load(model: bytes):
    return LiteRtRuntime().load(model, 1)


def refusal(model: bytes) -> str:
    with pytest.raises(EngineError) as caught:
        load(model)
    return caught.value.message


@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_of_ours_is_fed_in_the_order_of_its_graph(batch):
    x = np.random.default_rng(1).normal(0, 1, (batch, 2, 3, 4)).astype(np.float32)
    with load(turned()) as session:
        assert session.inputs == (TensorSpec("image", "float32", (None, 2, 3, 4)),)
        assert session.outputs == (TensorSpec("answer", "float32", (None, 2, 3, 4)),)
        answer = session.run({"image": x})["answer"]
    np.testing.assert_array_equal(answer, np.maximum(x, 0))
    assert answer.flags.c_contiguous


def test_a_picture_that_lies_in_the_files_order_already():
    x = np.random.default_rng(1).normal(0, 1, (2, 3, 4, 2)).astype(np.float32).transpose(0, 3, 1, 2)
    with load(turned()) as session:
        np.testing.assert_array_equal(session.run({"image": x})["answer"], np.maximum(x, 0))


def test_many_channels_are_copied_right():
    flat = Flat()
    x, y = flat.tensor("x", (1, 3, 4, 40), "float32"), flat.tensor("y", (1, 3, 4, 40), "float32")
    flat.operator("RELU", (x,), y)
    port = (LitertPort("x", (0, 2, 3, 1), False),), (LitertPort("y", (0, 2, 3, 1), False),)
    flat.metadata(METADATA, write_ports(*port))
    given = np.random.default_rng(1).normal(0, 1, (1, 40, 3, 4)).astype(np.float32)
    with load(flat.finish((x,), (y,), "")) as session:
        np.testing.assert_array_equal(session.run({"x": given})["y"], np.maximum(given, 0))


def test_somebody_elses_file_keeps_its_names_and_is_resized():
    with load(tiny_model(ours=False)) as session:
        assert session.inputs[0] == TensorSpec("a", "float32", (None, 3))
        for batch in (1, 4, 2):
            a = np.random.default_rng(batch).normal(0, 1, (batch, 3)).astype(np.float32)
            answers = session.run({"a": a, "b": np.array([4, -5])})
            weight = np.arange(12, dtype=np.float32).reshape(3, 4)
            np.testing.assert_allclose(answers["y"], a @ weight, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(answers["z"], [-4, 5])


def test_integers_as_they_are():
    x = np.arange(-12, 12, dtype=np.int8).reshape(1, 2, 3, 4)
    with load(turned(kind="int8")) as session:
        assert session.inputs[0].dtype == "int8"
        np.testing.assert_array_equal(session.run({"image": x})["answer"], np.maximum(x, 0))


DAMAGED = {
    "no JSON": (b"nothing", "cannot be read"),
    "another version": (write_ports((), ()).replace(b'"version":1', b'"version":2'), "its version is 2"),
    "another layout": (
        write_ports((LitertPort("x", (0, 1, 2, 2), False),), (LitertPort("y", (0, 1, 2, 3), False),)),
        "has the layout",
    ),
    "another rank": (
        write_ports((LitertPort("x", (0, 1), False),), (LitertPort("y", (0, 1, 2, 3), False),)),
        "4 axes in the file and 2 in its entry",
    ),
    "another count": (write_ports((), ()), "names 0 ends; the file has 1"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_an_entry_that_does_not_fit_is_refused(damage):
    entry, words = DAMAGED[damage]
    assert words in refusal(turned(entry=entry))


def test_an_entry_is_read_as_written():
    ports = (LitertPort("a", (0, 2, 1), True),), (LitertPort("b", (), False), LitertPort("c", (0,), False))
    assert read_ports(write_ports(*ports)) == ports


def test_two_ends_of_one_name():
    flat = Flat()
    x = flat.tensor("x", (1, 4), "float32")
    flat.operator("RELU", (x,), y := flat.tensor("y", (1, 4), "float32"))
    data = flat.finish((x,), (y, y), "")
    assert "the same name" in refusal(data)


SCALES = {
    "zero point": (Scales(np.array([0.5]), np.array([200])), "zero point 200; its limits are -128 and 127"),
    "scale of zero": (Scales(np.array([0.0]), np.array([0])), "has the scale 0; scales are above 1e-10"),
    "scale beyond all": (Scales(np.array([1e20]), np.array([0])), "has the scale 1e+20"),
    "scale not a number": (Scales(np.array([np.nan]), np.array([0])), "has the scale nan"),
    "scales for channels": (Scales(np.ones(3), np.zeros(3), 3), "has 3 scales along axis 3 of 4"),
    "more zero points": (Scales(np.ones(1), np.zeros(2)), "has 1 scales and 2 zero points"),
    "no scale": (None, "ADD, calculates with 8-bit integers without a scale"),
}


@pytest.mark.parametrize("case", SCALES)
def test_scales_that_would_end_the_process_are_refused(case):
    scales, words = SCALES[case]
    flat = Flat()
    x, y = flat.tensor("x", (1, 3, 4, 2), "int8", scales), flat.tensor("y", (1, 3, 4, 2), "int8", scales)
    flat.operator("ADD", (x, x), y, options="Add", int8=True)
    assert words in refusal(flat.finish((x,), (y,), ""))


def test_a_tensor_beyond_all_sizes_is_refused():
    flat = Flat()
    x, y = (flat.tensor(name, (1, 1 << 16, 1 << 13), "float32") for name in "xy")
    flat.operator("RELU", (x,), y)
    assert "tensor 0 has 536870912 elements; the limit is 268435456" in refusal(flat.finish((x,), (y,), ""))


def test_an_operator_with_too_few_inputs_is_refused():
    flat = Flat()
    x, y = flat.tensor("x", (1, 3, 4, 2), "float32"), flat.tensor("y", (1, 3, 4, 2), "float32")
    flat.operator("CONV_2D", (x,), y, options="Conv2D", strideH=1, strideW=1)
    assert "CONV_2D, has 1 inputs" in refusal(flat.finish((x,), (y,), ""))


def test_a_multiplier_beyond_xnnpack_is_refused():
    flat = Flat()
    x = flat.tensor("x", (1, 4, 4, 2), "int8", Scales(np.array([8.0]), np.array([0])))
    y = flat.tensor("y", (1, 4, 4, 2), "int8", Scales(np.array([0.01]), np.array([0])))
    ones = np.ones((2, 1, 1, 2))
    weight = flat.tensor("w", ones.shape, "int8", Scales(np.array([0.001, 1.0]), np.zeros(2)), ones)
    bias = flat.tensor("b", (2,), "int32", Scales(np.array([0.008, 8.0]), np.zeros(2)), np.zeros(2))
    flat.operator("CONV_2D", (x, weight, bias), y, options="Conv2D", int8=True, strideH=1, strideW=1)
    assert "has the multiplier 800; XNNPACK takes up to 256" in refusal(flat.finish((x,), (y,), ""))


def test_types_that_do_not_go_together_are_refused():
    flat = Flat()
    x = flat.tensor("x", (1, 4), "int8", Scales(np.array([0.5]), np.array([0])))
    y = flat.tensor("y", (1, 4), "float32")
    flat.operator("ADD", (x, x), y, options="Add", int8=True)
    assert "ADD, reads type 9 and makes type 0" in refusal(flat.finish((x,), (y,), ""))


def test_a_tensor_that_is_made_twice_is_refused():
    flat = Flat()
    x, y = flat.tensor("x", (1, 4), "float32"), flat.tensor("y", (1, 4), "float32")
    flat.operator("RELU", (x,), y)
    flat.operator("RELU", (x,), y)
    assert "operator 1 makes tensor 1" in refusal(flat.finish((x,), (y,), ""))
    flat = Flat()
    x = flat.tensor("x", (1, 4), "float32")
    flat.operator("RELU", (x,), x)
    assert "operator 0 makes tensor 0" in refusal(flat.finish((x,), (x,), ""))


def test_different_numbers_of_examples():
    flat = Flat()
    a, b, y = (flat.tensor(name, (1, 2), "float32") for name in "aby")
    flat.operator("ADD", (a, b), y, options="Add")
    ports = tuple(LitertPort(name, (0, 1), True) for name in "ab"), (LitertPort("y", (0, 1), True),)
    flat.metadata(METADATA, write_ports(*ports))
    with load(flat.finish((a, b), (y,), "")) as session:
        one, two = np.ones((1, 2), np.float32), np.ones((2, 2), np.float32)
        np.testing.assert_array_equal(session.run({"a": two, "b": two})["y"], two * 2)
        with pytest.raises(EngineError, match=r"hold \[1, 2\] examples"):
            session.run({"a": one, "b": two})


def test_an_edge_tpu_without_its_library_says_what_to_install(monkeypatch):
    with pytest.raises(EngineError) as caught:
        EdgeTpuRuntime().load(tiny_model(), 1)
    assert LIBRARY in caught.value.message and "\n" not in caught.value.message
    assert "libedgetpu1-std" in caught.value.hint
    assert "edgetpu" in registry.names()
    if "edgetpu" in registry.installed():
        pytest.skip("the library stands here; only the device is missing")
    monkeypatch.setattr(registry, "LIBRARY_FOLDERS", ())
    assert "edgetpu" not in registry.installed() and "litert" in registry.installed()
