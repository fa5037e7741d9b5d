"""8-bit layers against the QDQ graph on ONNX Runtime, in steps of the output's scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from ncnn_nets import depthwise, plain, summed
from ncnn_sides import activation_steps, as_written, on_ncnn, quantized, small
from shoestring.convert.ncnn import convert
from shoestring.convert.ncnn.grids import Grid
from shoestring.runtimes.ncnn_file import unpack

SCHEMES = ("u8s8", "u8s7", "s8s8")
ROOM = 1.3
"""Ranges wider than the data, so that the one code that ncnn does not have stays unused."""


def steps(make: Callable[[], onnx.ModelProto], scheme: str, room: float = ROOM, strength: float = 1.0) -> np.ndarray:
    """Differences of all output elements, in whole steps. Inputs are `strength` times those calibrated on."""
    rng = np.random.default_rng(8)
    seen = {"image": rng.standard_normal((4, 3, 16, 16)).astype(np.float32)}
    model = quantized(make().SerializeToString(), seen, scheme, room)
    feeds = {"image": seen["image"] * np.float32(strength)}
    found, wanted = on_ncnn(model, feeds, "int8")["out"], as_written(model, feeds)["out"]
    step = activation_steps(model)[-1]
    return np.rint(found / step) - np.rint(wanted / step)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_convolutions_give_the_very_codes(scheme):
    assert not steps(plain, scheme).any()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_depthwise_convolutions_miss_few_codes_by_one(scheme):
    """ncnn for x86 takes the reciprocal of their scale by an instruction of 12 bits."""
    found = np.abs(steps(depthwise, scheme))
    assert found.max() <= 1
    assert (found > 0).mean() < 0.02


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sums_read_reals_that_were_not_rounded(scheme):
    found = np.abs(steps(summed, scheme))
    assert found.max() <= 2
    assert (found > 0).mean() < 0.35


def test_the_code_that_ncnn_does_not_have_is_one_step_off():
    """Inputs outside their range fall on the last code, which behind a ReLU is the missing one."""
    found = np.abs(steps(plain, "u8s8", room=1.0, strength=1.5))
    assert found.any(), "nothing saturated: this test tests nothing"
    assert (found > 2).mean() < 0.02
    assert found.max() <= 4


@pytest.mark.parametrize("broken", ["pad", "shift", "sign"])
def test_a_wrong_grid_is_noticed(broken, monkeypatch):
    """The comparison is not blind: padding, shift and sign each matter."""
    wrong = {"pad": 0, "shift": 0.0, "sign": 1}[broken]
    monkeypatch.setattr(Grid, broken, property(lambda _: wrong))
    assert steps(plain, "u8s8").any()


@pytest.mark.parametrize(("make", "notes"), [(depthwise, 0), (summed, 1)])
def test_a_note_says_where_reals_are_not_rounded(make, notes):
    seen = {"image": np.random.default_rng(8).standard_normal((4, 3, 16, 16)).astype(np.float32)}
    found = convert(quantized(make().SerializeToString(), seen), "int8").notes
    assert len(found) == notes
    assert all("2 activations are read as reals" in note for note in found)


def test_layers_between_codes_stay_in_codes():
    """No Quantize but in front of the first layer: convolutions hand bytes on; 255 and 0 are what a ReLU needs."""
    seen = {"image": np.random.default_rng(8).standard_normal((4, 3, 16, 16)).astype(np.float32)}
    network = unpack(convert(quantized(depthwise().SerializeToString(), seen), "int8").data, "m")
    kinds = [line.split(" ")[0] for line in network.param.split("\n")[2:-1]]
    assert kinds.count("Quantize") == 1
    assert kinds.count("Clip") == 0


@pytest.mark.parametrize("zero", range(0, 256, 5))
def test_a_grid_keeps_all_codes_but_one_and_pads_with_what_is_not_negative(zero):
    grid = Grid(0.1, zero)
    codes = np.arange(256)
    wanted = grid.sign * (codes - grid.centre)
    made = np.clip(wanted, -127, 127)
    assert (made != wanted).sum() <= 1
    assert 0 <= grid.pad <= 127
    assert grid.pad == grid.sign * (zero - grid.centre)
    reals = 0.1 * (codes - zero)
    np.testing.assert_allclose(grid.sign * (reals + grid.shift) / 0.1, wanted, atol=1e-9)


LOOSE = 4 * 127 * 0.02 * (3 * 128 * 0.02 * 0.05 + 0.05)
"""A float layer reads reals that were not rounded: half a step of 0.1 for each of 3 inputs, through both layers."""


def test_weights_that_ncnn_cannot_hold_keep_a_layer_in_float_and_a_note_says_so():
    codes = np.full((4, 3, 1, 1), -128, np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node("DequantizeLinear", ["v", "ws", "wz"], ["vd"]),
        helper.make_node("Conv", ["d", "wd"], ["c"], name="first"),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "s", "z"], ["cd"]),
        helper.make_node("Conv", ["cd", "vd"], ["y"], name="second"),
    ]
    weights = {"s": np.float32(0.1), "z": np.uint8(100), "w": codes, "ws": np.float32(0.02), "wz": np.int8(0)}
    weights["v"] = np.full((4, 4, 1, 1), -127, np.int8)
    model = small(nodes, {"x": (1, 3, 4, 4)}, weights)
    converted = convert(model, "int8")
    assert len(converted.notes) == 2
    assert "first" in converted.notes[0]
    assert "-128" in converted.notes[0]
    feeds = {"x": np.random.default_rng(1).standard_normal((1, 3, 4, 4)).astype(np.float32)}
    np.testing.assert_allclose(on_ncnn(model, feeds, "int8")["y"], as_written(model, feeds)["y"], atol=LOOSE)
