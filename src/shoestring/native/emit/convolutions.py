"""Steps that multiply by constant weights: convolutions and fully connected layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.native.emit.context import Context, bounds, flag, real, weights
from shoestring.native.form import Conv, Linear
from shoestring.native.pack import by_block, by_panel, depthwise_weights, gemm_weights
from shoestring.native.storage import Storage, pitch_of

Array = npt.NDArray[Any]
WIDEST_TILE = 4
MOST_KERNEL_ROWS = 8
CACHED_WEIGHTS = 24 * 1024
"""Bytes of weights up to which all panels are taken for each block of pixels: they stay in the first cache."""


def conv(context: Context, op: Conv, number: int) -> str:
    """C statements of a convolution over rows `rows` and panels `part`."""
    source = context.value(op.inputs[0])
    channels = source.shape[1]
    if op.groups == channels == len(op.weight) and channels > 1:
        return _depthwise(context, op)
    if op.groups > 1:
        return _grouped(context, op, number)
    return _gemm(context, op, op.weight, op.bias, op.multiplier, number, 0, 0, False)


def panels_of(context: Context, op: Conv | Linear) -> int:
    """Panels that threads may share; 0 when the step only splits by rows."""
    groups = op.groups if isinstance(op, Conv) else 1
    return len(context.vector.panels(len(op.weight))) if groups == 1 else 0


def _grouped(context: Context, op: Conv, number: int) -> str:
    """One product for each group, on its slice of the channels."""
    size_in, size_out = op.weight.shape[1], len(op.weight) // op.groups
    text = []
    for group in range(op.groups):
        part = slice(group * size_out, (group + 1) * size_out)
        multiplier = None if op.multiplier is None else op.multiplier[part]
        body = _gemm(
            context, op, op.weight[part], op.bias[part], multiplier, number, group * size_in, group * size_out, True
        )
        text.append("{\n" + body + "\n}")
    return "\n".join(text)


def _gemm(
    context: Context,
    op: Conv,
    weight: Array,
    bias: Array,
    multiplier: Array | None,
    number: int,
    first_in: int,
    first_out: int,
    grouped: bool,
) -> str:
    source = context.storage(op.inputs[0])
    runs, offsets = _runs(op, weight, source)
    step = (op.strides[1] * source.pitch, op.strides[0] * source.row)
    rows = (first_in - op.pads[1] * source.pitch, -op.pads[0], op.strides[0])
    return _product(context, op, runs, bias, multiplier, offsets, step, rows, first_out, grouped, number)


def _runs(op: Conv, weight: Array, source: Storage) -> tuple[Array, list[int]]:
    """Weights (O, segments, depth) and the offset of each segment: the longest runs of codes that lie side by side."""
    count, size, height, width = weight.shape
    taps = weight.transpose(0, 2, 3, 1)
    if weight.dtype == np.int8:
        deep = np.zeros((count, height, width, -(-size // 4) * 4), np.int8)
        whole_pixels = op.dilations[1] == 1 and op.groups == 1
        if whole_pixels and width > 1 and source.pitch - size < 4:  # a kernel row is one run
            deep = np.zeros((count, height, width, source.pitch), np.int8)
            deep[..., :size] = taps
            return deep.reshape(count, height, -1), [y * op.dilations[0] * source.row for y in range(height)]
        deep[..., :size] = taps
        taps = deep
    offsets = [
        y * op.dilations[0] * source.row + x * op.dilations[1] * source.pitch
        for y in range(height)
        for x in range(width)
    ]
    return taps.reshape(count, height * width, -1), offsets


def linear(context: Context, op: Linear, number: int) -> str:
    """C statements of a fully connected layer: every pixel of the only row is one product."""
    source = context.storage(op.inputs[0])
    size = op.weight.shape[1]
    weight = op.weight
    if weight.dtype == np.int8:
        weight = np.zeros((len(op.weight), -(-size // 4) * 4), np.int8)
        weight[:, :size] = op.weight
    step = (source.pitch, source.row)
    return _product(context, op, weight[:, None], op.bias, op.multiplier, [0], step, (0, 0, 1), 0, False, number)


def _product(
    context: Context,
    op: Conv | Linear,
    runs: Array,
    bias: Array,
    multiplier: Array | None,
    offsets: list[int],
    step: tuple[int, int],
    start: tuple[int, int, int],
    first_out: int,
    grouped: bool,
    number: int,
) -> str:
    """`start`: elements from a row's first pixel, first input row of output row 0, input rows an output row."""
    vector, value = context.vector, context.value(op.output)
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    integer = runs.dtype == np.int8
    codes = value.kind == "i8"
    family = "i8" if integer else "f32"
    panels = vector.panels(len(bias))
    context.headers.add(f"conv_{family}.h")
    context.use_panels(family, panels)
    at_weights = context.add_packed(gemm_weights(vector, runs, codes))
    at_bias = context.blob.add(by_panel(vector, _folded(context, op, runs, bias) if integer else bias, codes))
    table = context.table("int32_t", f"offsets_{number}_{first_out}", offsets)
    sizes = context.table("uint8_t", f"panels_{number}_{first_out}", panels)
    exact = grouped or -(-len(bias) // vector.lanes) * vector.lanes + first_out > out.pitch
    inside = runs.nbytes <= CACHED_WEIGHTS and len(panels) > 1
    low, high, is_open = bounds(op.clamp, value)
    kind = "ss_code" if integer else "float"
    out_kind = "ss_code" if codes else "float"
    fields = [
        f".offsets = {table}, .segments = {len(offsets)}, .depth = {runs.shape[2]}",
        f".in_pixel = {step[0]}, .in_row = {step[1]}, .out_pixel = {out.pitch}, .out_row = {out.row}",
        f".width = {out.width}, .panels = {sizes}, .channels = {len(bias)}",
        f".exact = {flag(exact)}, .pixels_outside = {flag(inside)}",
    ]
    if integer:
        at_multiplier = context.blob.add(by_panel(vector, np.asarray(multiplier, np.float32), codes))
        zero = context.stored(value.zero) if codes else 0
        scaling = f"{{{weights(at_multiplier, 'float')}, {low}, {high}, {zero}, {flag(is_open)}}}"
        fields.append(f".weights = {weights(at_weights, 'int8_t')}, .bias = {weights(at_bias, 'int32_t')}")
        fields.append(f".scaling = {scaling}, .to_f32 = {flag(not codes)}")
    else:
        fields.append(f".weights = {weights(at_weights, 'float')}, .bias = {weights(at_bias, 'float')}")
        fields.append(f".low = {low}, .high = {high}, .clamps = {flag(not is_open)}")
    body = ",\n        ".join(fields)
    across, row0, row_step = start
    return (
        f"    const ss_conv_{family} c = {{\n        {body}}};\n"
        f"    const {kind} *from = (const {kind} *)(const void *)"
        f"ss_row(a, rows.first * {row_step} + ({row0}), {source.row * source.element_bytes}) + ({across});\n"
        f"    {out_kind} *to = ({out_kind} *)(void *)"
        f"ss_row(out, rows.first, {out.row * out.element_bytes}) + {first_out};\n"
        f"    ss_conv_{family}_run(&c, from, to, rows.last - rows.first, "
        + (f"0, {len(panels)});" if grouped else "part.first, part.last);")
    )


def _folded(context: Context, op: Conv | Linear, taps: Array, bias: Array) -> Array:
    """The bias with the input's zero point, in storage form, taken into it, modulo 2**32."""
    zero = context.stored(context.value(op.inputs[0]).zero)
    total = taps.reshape(len(taps), -1).astype(np.int64).sum(axis=1)
    folded: Array = (bias.astype(np.int64) - zero * total).astype(np.int64).astype(np.uint32).view(np.int32)
    return folded


def _depthwise(context: Context, op: Conv) -> str:
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    height, width = op.weight.shape[2:]
    if op.weight.dtype != np.int8:
        return _depthwise_f32(context, op, source, out)
    joined = 1
    if op.strides[1] == 1 and context.vector.block % out.pitch == 0 and source.pitch == out.pitch:
        joined = context.vector.block // out.pitch
        joined = joined if out.width % joined == 0 else 1
    narrow = out.pitch % context.vector.lanes != 0
    if height > MOST_KERNEL_ROWS or op.dilations != (1, 1) or context.value(op.output).kind != "i8" or narrow:
        return _depthwise_any(context, op, source, out)
    tile = min(WIDEST_TILE, out.width // joined)
    step = joined if joined > 1 else op.strides[1]
    context.headers.add("depthwise_i8.h")
    context.blocks.setdefault("depthwise_i8", set()).add((height, width, step, tile))
    weight, bias, multiplier = _stored_channels(context, op, out.pitch)
    weight, bias, multiplier = (np.concatenate([x] * joined) for x in (weight, bias, multiplier))
    vector = context.vector
    fields = [
        f".in_pixel = {source.pitch}, .in_row = {source.row}, .out_pixel = {out.pitch * joined}, .out_row = {out.row}",
        f".row_stride = {op.strides[0]}, .width = {out.width // joined}, .channels = {out.pitch * joined}",
        f".joined = {joined}",
        f".weights = {weights(context.add_packed(depthwise_weights(vector, weight), 2), 'int8_t')}",
        f".bias = {weights(context.blob.add(by_block(vector, bias)), 'int32_t')}",
        f".scaling = {_scaling(context, op, by_block(vector, multiplier))}",
    ]
    return _depthwise_call(
        op, "ss_depthwise_i8", f"ss_depthwise_i8_{height}x{width}_{step}_{tile}", fields, "ss_code", source, out
    )


def _depthwise_any(context: Context, op: Conv, source: Storage, out: Storage) -> str:
    context.headers.add("depthwise_any_i8.h")
    weight, bias, multiplier = _stored_channels(context, op, out.pitch)
    fields = [
        *_strides(op, source, out),
        f".weights = {weights(context.blob.add(_by_tap(weight)), 'int8_t')}",
        f".bias = {weights(context.blob.add(bias), 'int32_t')}",
        f".scaling = {_scaling(context, op, multiplier)}",
        f".to_f32 = {flag(context.value(op.output).kind == 'f32')}",
    ]
    kind = "ss_code" if context.value(op.output).kind == "i8" else "float"
    return _depthwise_call(op, "ss_depthwise_any_i8", "ss_depthwise_any_i8_run", fields, "ss_code", source, out, kind)


def _depthwise_f32(context: Context, op: Conv, source: Storage, out: Storage) -> str:
    context.headers.add("depthwise_f32.h")
    size = -(-out.pitch // 16) * 16
    weight = np.zeros((size, *op.weight.shape[2:]), np.float32)
    weight[: len(op.weight)] = op.weight[:, 0]
    bias = np.zeros(size, np.float32)
    bias[: len(op.bias)] = op.bias
    low, high, is_open = bounds(op.clamp, context.value(op.output))
    fields = [
        *_strides(op, source, out),
        f".weights = {weights(context.blob.add(_by_tap(weight)), 'float')}",
        f".bias = {weights(context.blob.add(bias), 'float')}",
        f".low = {low}, .high = {high}, .clamps = {flag(not is_open)}",
    ]
    return _depthwise_call(op, "ss_depthwise_f32", "ss_depthwise_f32_run", fields, "float", source, out)


def _depthwise_call(
    op: Conv,
    kind: str,
    function: str,
    fields: list[str],
    element: str,
    source: Storage,
    out: Storage,
    out_element: str | None = None,
) -> str:
    body = ",\n        ".join(fields)
    to = out_element or element
    pointer = f"({to} *)(void *)" if kind != "ss_depthwise_any_i8" else "(void *)"
    return (
        f"    const {kind} d = {{\n        {body}}};\n"
        f"    const {element} *from = (const {element} *)(const void *)"
        f"ss_row(a, rows.first * {op.strides[0]} - {op.pads[0]}, {source.row * source.element_bytes}) - "
        f"{op.pads[1] * source.pitch};\n"
        f"    {function}(&d, from, {pointer}ss_row(out, rows.first, {out.row * out.element_bytes}), "
        "rows.last - rows.first);"
    )


def _strides(op: Conv, source: Storage, out: Storage) -> list[str]:
    return [
        f".in_pixel = {op.strides[1] * source.pitch}, .in_row = {op.strides[0] * source.row}",
        f".out_pixel = {out.pitch}, .out_row = {out.row}",
        f".tap_column = {op.dilations[1] * source.pitch}, .tap_row = {op.dilations[0] * source.row}",
        f".kernel_height = {op.weight.shape[2]}, .kernel_width = {op.weight.shape[3]}",
        f".width = {out.width}, .channels = {out.pitch}",
    ]


def _by_tap(weight: Array) -> Array:
    """(channels, kh, kw) -> [tap][channel]."""
    return np.ascontiguousarray(weight.reshape(len(weight), -1).T)


def _stored_channels(context: Context, op: Conv, size: int) -> tuple[Array, Array, Array]:
    """Weights (size, kh, kw), folded bias and multipliers of all stored channels."""
    weight = np.zeros((size, *op.weight.shape[2:]), np.int8)
    weight[: len(op.weight)] = op.weight[:, 0]
    bias = np.zeros(size, np.int32)
    bias[: len(op.bias)] = _folded(context, op, op.weight, op.bias)
    multiplier = np.zeros(size, np.float32)
    multiplier[: len(op.bias)] = op.multiplier
    return weight, bias, multiplier


def _scaling(context: Context, op: Conv, multiplier: Array) -> str:
    value = context.value(op.output)
    low, high, is_open = bounds(op.clamp, value)
    zero = context.stored(value.zero) if value.kind == "i8" else 0
    offset = context.blob.add(multiplier.astype(np.float32))
    return f"{{{weights(offset, 'float')}, {low}, {high}, {zero}, {flag(is_open)}}}"


__all__ = ["conv", "linear", "panels_of", "pitch_of", "real"]
