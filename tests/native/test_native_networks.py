"""A whole network, compiled for this machine: the interpreter's bits and ONNX Runtime's choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zoo
from native.qdq_models import example_images, imported, on_ort, quantized
from shoestring.base.outputs import sqnr_db
from shoestring.chips.host import this_machine
from shoestring.native.compiling import build_library, prepare
from shoestring.native.interpret import run
from shoestring.native.targets import host_target
from shoestring.runtimes import registry

IMAGES = 64
JUDGED = 3
"""How many images the interpreter, which takes its time, goes through."""

TIE = 0.05
"""Logits; those of one image spread over about 5."""


def pictures(side: int) -> np.ndarray:
    """Smooth pictures of many tints and contrasts: noise alone all looks alike to the network."""
    rng = np.random.default_rng(11)
    contrast, tint = rng.uniform(0.1, 1.5, (IMAGES, 1, 1, 1)), rng.normal(0, 1.5, (IMAGES, 3, 1, 1))
    x = np.linspace(-1, 1, side)
    slope = rng.normal(0, 1, (IMAGES, 3, 2))
    ramp = slope[..., :1, None] * x[:, None] + slope[..., 1:, None] * x
    return (example_images(IMAGES, side=side) * contrast + tint + ramp).astype(np.float32)


@pytest.mark.parametrize("kind", ["float", "int8", "mixed"])
@pytest.mark.parametrize("threads", [1, 2])
def test_cifar10(kind: str, threads: int, tmp_path: Path) -> None:
    model = {"float": imported, "int8": quantized, "mixed": lambda: quantized(float_layers=4)}[kind]()
    machine = this_machine()
    target = host_target(machine.isa, machine.arch)
    program = prepare(model, "cifar10")
    library = tmp_path / "cifar10.so"
    build_library(program, [target], threads, library)
    (entry,), (exit_,) = program.inputs, program.outputs
    images = pictures(program.values[entry.value].shape[-1])
    with registry.get("native").load(library, threads) as session:
        ours = session.run({entry.name: images})[exit_.name]
    for number in range(JUDGED):
        judged = run(program, {entry.name: images[number : number + 1]}, fused=target.fused)[exit_.name]
        np.testing.assert_array_equal(ours[number : number + 1].view(np.uint32), judged.view(np.uint32))
    theirs = on_ort(model, {entry.name: images})[exit_.name]
    if kind == "float":
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert len(set(theirs.argmax(axis=1))) > 2, "images that all get one answer tell nothing"
    differ = ours.argmax(axis=1) != theirs.argmax(axis=1)
    if kind == "mixed":
        # Reals that meet codes round otherwise in places: a choice may differ where the first two are as good as tied.
        first_two = np.sort(theirs[differ], axis=1)[:, -2:]
        assert np.all(np.diff(first_two, axis=1) < TIE)
        assert differ.mean() <= 0.02
        assert np.abs(ours - theirs).max() < TIE
    else:
        assert not differ.any(), np.flatnonzero(differ)


@pytest.mark.parametrize("name", ["yolov3_tiny", "ssd_softmax", "mobilenet_v3_small"])
def test_detectors_and_gated_networks_in_8_bits(name: str, tmp_path: Path) -> None:
    """Leaky ReLUs, resizes and joins of two scales; boxes and scores; hard swishes and gates."""
    model = zoo.quantized(name, "u8s7")
    machine = this_machine()
    target = host_target(machine.isa, machine.arch)
    program = prepare(model, "net")
    library = tmp_path / "net.so"
    build_library(program, [target], 1, library)
    feeds = zoo.example_input(name, 1, seed=9)
    with registry.get("native").load(library, 1) as session:
        ours = session.run(feeds)
    judged, theirs = run(program, feeds, fused=target.fused), on_ort(model, feeds)
    for output, values in ours.items():
        np.testing.assert_array_equal(values.view(np.uint32), judged[output].view(np.uint32))
        assert sqnr_db(theirs[output], values) > 15
