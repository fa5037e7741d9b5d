"""A network is followed from its inputs to its outputs before ncnn, which trusts what it reads, gets it."""

from __future__ import annotations

import math
import struct

from shoestring.base.errors import EngineError
from shoestring.runtimes.ncnn_file import NcnnFile, Port
from shoestring.runtimes.ncnn_reader import Reader, Shape, Wanted
from shoestring.runtimes.ncnn_rules import RULES
from shoestring.runtimes.ncnn_text import TextLayer, parse

PLAIN_FLOATS, HALF_FLOATS, BYTES = 0x00000000, 0x01306B47, 0x000D4B38
_BYTES_EACH = {PLAIN_FLOATS: 4, HALF_FLOATS: 2, BYTES: 1}
_WORD = 4


def check(network: NcnnFile) -> dict[str, tuple[int, ...]]:
    """Hold a network against the rules of its layers, its weights against what they read, its ports against its blobs.

    Returns:
        The axes of every input blob.

    Raises:
        EngineError: something ncnn would crash on, or read and write memory that is not its own.
    """
    blobs: dict[str, Shape] = {}
    made: dict[str, Shape] = {}
    inputs: dict[str, Shape] = {}
    names: set[str] = set()
    place = 0
    for layer in parse(network.param):
        tops, wanted = _layer(layer, blobs, names)
        place = _weights(network, layer, wanted, place)
        for name, shape in zip(layer.tops, tops, strict=True):
            if name in made:
                raise EngineError(f"blob {name!r} of the network is made twice")
            blobs[name] = made[name] = shape
        if layer.kind == "Input":
            inputs[layer.tops[0]] = tops[0]
    if place != len(network.weights):
        raise EngineError(f"the network reads {place} bytes of weights; there are {len(network.weights)}")
    given = [port.blob for port in network.inputs]
    if sorted(given) != sorted(inputs):
        raise EngineError(f"the network's inputs are {sorted(inputs)}; the file names {given}")
    for port in network.inputs:
        _port(port, made)
    for port in network.outputs:
        if blobs.pop(port.blob, None) is None:
            raise EngineError(f"output blob {port.blob!r} is not made, or read already")
        _port(port, made)
    return {name: shape.dims for name, shape in inputs.items()}


def _layer(layer: TextLayer, blobs: dict[str, Shape], names: set[str]) -> tuple[list[Shape], list[Wanted]]:
    """What a layer makes; the blobs that it reads are used up."""
    rule = RULES.get(layer.kind)
    if rule is None:
        raise EngineError(f"layer {layer.name!r} of the network is a {layer.kind}, which is not among those known here")
    if layer.name in names:
        raise EngineError(f"two layers of the network are called {layer.name!r}")
    names.add(layer.name)
    bottoms: list[Shape] = []
    for name in layer.bottoms:
        found = blobs.pop(name, None)
        if found is None:
            raise EngineError(f"layer {layer.name!r} reads blob {name!r}, which is not made before it, or read already")
        bottoms.append(found)
    reader = Reader(layer, bottoms)
    tops, wanted = rule(reader)
    reader.close()
    if len(tops) != len(layer.tops) or not tops:
        raise reader.wrong(f"it makes {len(layer.tops)} blobs; it must make {max(len(tops), 1)}")
    return tops, wanted


def _weights(network: NcnnFile, layer: TextLayer, wanted: list[Wanted], place: int) -> int:
    """Where the weights of a layer end. Raises EngineError where they are cut off or of the wrong kind."""
    for weight in wanted:
        tag = PLAIN_FLOATS
        if weight.tagged:
            if place + _WORD > len(network.weights):
                raise EngineError(f"the weights end before those of layer {layer.name!r}")
            (tag,) = struct.unpack_from("<I", network.weights, place)
            allowed = (BYTES,) if weight.codes else (PLAIN_FLOATS, HALF_FLOATS)
            if tag not in allowed:
                raise EngineError(f"the weights of layer {layer.name!r} are tagged {tag:#010x}, not one of {allowed}")
            place += _WORD
        size = weight.count * _BYTES_EACH[tag]
        place += size + -size % _WORD
        if place > len(network.weights):
            raise EngineError(f"the weights of layer {layer.name!r} end at byte {place} of {len(network.weights)}")
    return place


def _port(port: Port, made: dict[str, Shape]) -> None:
    shape = [1 if n is None else n for n in port.spec.shape]
    found = made[port.blob]
    if found.codes or math.prod(found.dims) != math.prod(shape):
        raise EngineError(f"port {port.spec.name!r} is {port.spec.shape}; its blob {port.blob!r} is {found.dims}")
