"""A fully connected layer behind a flattened image becomes a convolution that covers the image.

Requires: nothing. Ensures: no Linear reads a Reshape of an image that nobody else reads. Integer results are the same;
float sums then run over rows, columns and channels instead of channels, rows and columns.
"""

from __future__ import annotations

from dataclasses import replace

from shoestring.native.form import Conv, Linear, Op, Program, Reshape


def fold_flatten(program: Program) -> Program:
    """See the module."""
    makers = {op.output: op for op in program.ops}
    readers = program.consumers()
    outputs = {port.value for port in program.outputs}
    folded: dict[str, tuple[Op, ...]] = {}
    made = {}
    dropped: set[str] = set()
    for op in program.ops:
        if not isinstance(op, Linear):
            continue
        maker = makers.get(op.inputs[0])
        if not isinstance(maker, Reshape) or maker.output in outputs or len(readers[maker.output]) != 1:
            continue
        source, flat = program.values[maker.inputs[0]], program.values[maker.output]
        if len(source.shape) != 4 or flat.count != flat.shape[-1]:
            continue
        weight = op.weight.reshape(len(op.weight), *source.shape[1:])
        out = program.values[op.output]
        image = replace(out, name=f"{out.name}/image", shape=(1, len(weight), 1, 1))
        made[image.name] = image
        conv = Conv(op.name, (source.name,), image.name, weight, op.bias, op.multiplier, clamp=op.clamp)
        folded[op.output] = (conv, Reshape(f"{op.name}/flat", (image.name,), op.output))
        dropped.add(maker.output)
    ops = tuple(one for op in program.ops if op.output not in dropped for one in folded.get(op.output, (op,)))
    values = made | {name: value for name, value in program.values.items() if name not in dropped}
    return replace(program, ops=ops, values=values)
