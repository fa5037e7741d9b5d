"""Which kinds an operator reads and makes, and the dtypes of its weights."""

from __future__ import annotations

import numpy as np

from shoestring.native import form
from shoestring.native.check_words import Place

_FLOAT, _CODE = ("f32", "f32"), ("i8", "i8")
_KINDS: dict[type[form.Op], tuple[tuple[str, str], ...]] = {
    form.Quantize: (("f32", "i8"),),
    form.Dequantize: (("i8", "f32"),),
    form.Conv: (_CODE, _FLOAT, ("i8", "f32")),
    form.Linear: (_CODE, _FLOAT, ("i8", "f32")),
    form.MatMul: (_CODE, _FLOAT, ("i8", "f32")),
    form.Binary: (_CODE, _FLOAT),
    form.Table: (_CODE,),
    form.Unary: (_FLOAT,),
    form.Pool: (_CODE, _FLOAT),
    form.Mean: (_CODE, _FLOAT),
    form.Softmax: (_FLOAT,),
    form.Concat: (_CODE, _FLOAT),
    form.Slice: (_CODE, _FLOAT),
    form.Pad: (_CODE, _FLOAT),
    form.Resize: (_CODE, _FLOAT),
    form.Transpose: (_CODE, _FLOAT),
    form.Reshape: (_CODE, _FLOAT),
}
"""(kind of the inputs, kind of the output) that each operator allows."""

_KEEPS_SCALE = (form.Concat, form.Slice, form.Pad, form.Resize, form.Transpose, form.Reshape)


def check_kinds(place: Place) -> None:
    """Refuse an unknown operator, a wrong number of inputs, mixed or wrong kinds, weights of another dtype.

    Raises:
        ModelError: with the operator and what it has.
    """
    op = place.op
    place.must(type(op) in _KINDS, "not an operator of the form")
    _check_inputs(place)
    kinds = {value.kind for value in place.inputs}
    place.must(len(kinds) == 1, f"its inputs are of the kinds {sorted(kinds)}; they must agree")
    pair = (place.inputs[0].kind, place.output.kind)
    place.must(pair in _KINDS[type(op)], f"{pair[0]} to {pair[1]} is not one of {_KINDS[type(op)]}")
    if isinstance(op, _KEEPS_SCALE) or (isinstance(op, form.Pool) and op.function == "max"):
        for value in place.inputs:
            same = (value.scale, value.zero) == (place.output.scale, place.output.zero)
            place.must(same, f"{value.name!r} and the output differ in scale or zero point; they must agree")
    if isinstance(op, form.Conv | form.Linear):
        _check_weights(place, op)
    elif isinstance(op, form.MatMul):
        given = op.multiplier is not None
        place.must(given == (pair[0] == "i8"), f"multiplier is {op.multiplier}; i8 inputs need one, f32 must have None")
    elif isinstance(op, form.Table):
        fits = op.table.dtype == np.uint8 and op.table.shape == (256,)
        place.must(fits, f"its table is {op.table.dtype} {op.table.shape}; it must be uint8 (256,)")


def _check_inputs(place: Place) -> None:
    op, count = place.op, len(place.inputs)
    if isinstance(op, form.Concat):
        place.must(count >= 1, "it has no input")
        return
    wanted = 2 if isinstance(op, form.MatMul) else 1
    if isinstance(op, form.Binary):
        wanted = 1 if op.constant is not None else 2
        place.must(op.constant is not None or not op.swapped, "swapped without a constant")
    place.must(count == wanted, f"it has {count} inputs; it takes {wanted}")


def _check_weights(place: Place, op: form.Conv | form.Linear) -> None:
    whole = place.inputs[0].kind == "i8"
    wanted = (np.int8, np.int32) if whole else (np.float32, np.float32)
    for what, array, dtype in (("weight", op.weight, wanted[0]), ("bias", op.bias, wanted[1])):
        place.must(array.dtype == dtype, f"its {what} is {array.dtype}; it must be {np.dtype(dtype)}")
        finite = whole or bool(np.isfinite(array).all())
        place.must(finite, f"its {what} holds an infinity or NaN")
    rank = 4 if isinstance(op, form.Conv) else 2
    place.must(op.weight.ndim == rank and op.weight.size > 0, f"its weight has the shape {op.weight.shape}")
    channels = (len(op.weight),)
    place.must(op.bias.shape == channels, f"its bias has the shape {op.bias.shape}; it must be {channels}")
    if op.multiplier is None:
        place.must(not whole, "it has no multiplier; an i8 input needs one")
        return
    place.must(whole, "it has a multiplier; an f32 input must have None")
    fits = op.multiplier.dtype == np.float32 and op.multiplier.shape == channels
    place.must(fits, f"its multiplier is {op.multiplier.dtype} {op.multiplier.shape}; it must be float32 {channels}")
