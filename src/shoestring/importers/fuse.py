"""Batch normalisation at inference is a scale and a shift a channel: the layer before it can carry both.

y = scale * (x - mean) / sqrt(var + epsilon) + bias (Ioffe and Szegedy, 2015, eq. 3 with fixed statistics).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.importers.require import helper, numpy_helper

if TYPE_CHECKING:
    from shoestring.importers.draft import Draft

Array = npt.NDArray[Any]

_CARRIERS = ("Conv", "ConvTranspose", "Gemm")
_FLOATS = ("f2", "f4", "f8")
_EPSILON = 1e-5  # ONNX's default


@dataclass(frozen=True)
class _Affine:
    """factor * x + shift, for each channel."""

    factor: Array
    shift: Array


def fuse_batch_norms(draft: Draft) -> None:
    """Fold each BatchNormalization into the Conv, ConvTranspose or Gemm that alone feeds it."""
    producers = {name: node for node in draft.nodes for name in node.output if name}
    readers = draft.readers()
    fused = []
    for norm in draft.nodes:
        if norm.op_type != "BatchNormalization" or norm.domain != "":
            continue
        carrier = producers.get(norm.input[0])
        if carrier is None or carrier.op_type not in _CARRIERS or readers[norm.input[0]] != 1:
            continue
        affine = _affine(draft, norm)
        if affine is None or any(name for name in norm.output[1:] if name in readers):
            continue
        if _carry(draft, carrier, affine):
            carrier.output[0] = norm.output[0]
            producers[norm.output[0]] = carrier
            fused.append(norm)
    done = {id(node) for node in fused}
    draft.nodes = [node for node in draft.nodes if id(node) not in done]
    if fused:
        draft.notes.append(f"fused {len(fused)} batch norms into the layer before")


def _affine(draft: Draft, norm: Any) -> _Affine | None:
    values = [_weight(draft, name) for name in norm.input[1:5]]
    attributes = {item.name: helper.get_attribute_value(item) for item in norm.attribute}
    if attributes.get("training_mode", 0) or any(value is None for value in values):
        return None
    scale, bias, mean, variance = (np.asarray(value, np.float64) for value in values)
    factor = scale / np.sqrt(variance + attributes.get("epsilon", _EPSILON))
    return _Affine(factor, bias - mean * factor)


def _carry(draft: Draft, carrier: Any, affine: _Affine) -> bool:
    weight = _weight(draft, carrier.input[1])
    if weight is None:
        return False
    attributes = {item.name: helper.get_attribute_value(item) for item in carrier.attribute}
    scaled = _scaled_weight(carrier.op_type, weight, affine.factor, attributes)
    bias = _old_bias(draft, carrier, len(affine.factor))
    if scaled is None or bias is None:
        return False
    if carrier.op_type == "Gemm":
        bias = bias * attributes.get("beta", 1.0)
        _drop_attribute(carrier, "beta")
    new_bias = bias * affine.factor + affine.shift
    name = carrier.output[0]
    inputs = [carrier.input[0], _store(draft, f"{name}.fused_weight", scaled.astype(weight.dtype))]
    inputs.append(_store(draft, f"{name}.fused_bias", new_bias.astype(weight.dtype)))
    del carrier.input[:]
    carrier.input.extend(inputs)
    return True


def _scaled_weight(operator: str, weight: Array, factor: Array, attributes: dict[str, Any]) -> Array | None:
    """The weight with each output channel times its factor; None when the sizes do not fit."""
    channels = len(factor)
    if operator == "Conv":  # (out, in / group, *kernel)
        return weight * _along(factor, weight.ndim, 0) if weight.shape[0] == channels else None
    if operator == "Gemm":  # (in, out), or (out, in) when transB
        axis = 0 if attributes.get("transB", 0) else 1
        return weight * _along(factor, 2, axis) if weight.shape[axis] == channels else None
    group = attributes.get("group", 1)  # ConvTranspose: (in, out / group, *kernel)
    if weight.shape[1] * group != channels or weight.shape[0] % group:
        return None
    by_group = weight.reshape(group, weight.shape[0] // group, *weight.shape[1:])
    factors = factor.reshape(group, 1, weight.shape[1], *[1] * (weight.ndim - 2))
    scaled: Array = (by_group * factors).reshape(weight.shape)
    return scaled


def _old_bias(draft: Draft, carrier: Any, channels: int) -> Array | None:
    """The carrier's bias in float64, one value a channel; zeros when it has none; None when it varies otherwise."""
    if len(carrier.input) < 3 or not carrier.input[2]:
        return np.zeros(channels)
    bias = _weight(draft, carrier.input[2])
    if bias is None or bias.size not in (1, channels) or (bias.ndim == 2 and bias.shape[0] != 1):
        return None
    return np.broadcast_to(bias.astype(np.float64).reshape(-1), (channels,))


def _weight(draft: Draft, name: str) -> Array | None:
    tensor = draft.weights.get(name)
    if tensor is None:
        return None
    array: Array = numpy_helper.to_array(tensor)
    return array if array.dtype.str[1:] in _FLOATS else None


def _along(factor: Array, rank: int, axis: int) -> Array:
    return factor.reshape([-1 if index == axis else 1 for index in range(rank)])


def _store(draft: Draft, name: str, array: Array) -> str:
    while name in draft.weights or name in draft.types:
        name += "_"
    draft.weights[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
    return name


def _drop_attribute(node: Any, name: str) -> None:
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
