"""MatMul of two activations."""

from __future__ import annotations

from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.layout import Layout, plain
from shoestring.native.form import MatMul, Value


def matmul(emitter: Emitter, op: MatMul) -> None:
    """BATCH_MATMUL; a factor whose last two axes lie swapped is read so instead of being turned."""
    one, other = emitter.source(op, 0), emitter.source(op, 1)
    rank = max(len(one.shape), len(other.shape))
    first, turned_first = _factor(emitter, one, rank)
    second, turned_second = _factor(emitter, other, rank)
    int8 = one.kind == "i8"
    emitter.flat.operator(
        "BATCH_MATMUL",
        (first, second),
        emitter.new(op.output, plain(len(emitter.result(op).shape))),
        options="BatchMatMul",
        int8=int8,
        adjX=turned_first,
        adjY=turned_second,
        asymmetricQuantizeInputs=False,
    )


def _factor(emitter: Emitter, value: Value, rank: int) -> tuple[int, bool]:
    """A tensor of that rank, and whether its last two axes are swapped."""
    have, own = emitter.layout(value.name), plain(len(value.shape))
    swapped: Layout = (*own[:-2], own[-1], own[-2])
    if have == swapped and len(own) == rank:
        return emitter.own(value.name), True
    return emitter.widened(value.name, plain(rank)), False
