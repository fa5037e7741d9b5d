"""What each layer of an ncnn network makes of its blobs, and which weights it reads.

ncnn checks neither: a kernel larger than its image, a weight shorter than its layer, a slice beyond an axis read or
write memory that is not theirs. Each rule here takes a layer and the blobs it reads, and gives those it makes, or
refuses. Formulas after ncnn's `src/layer/*.cpp` at commit a4d2ea1d4422c9e849f166fd7a4aefb52f942f6a.
"""

from __future__ import annotations

import math

from shoestring.runtimes.ncnn_reader import Made, Reader, Rule, Shape, Wanted, axes_of
from shoestring.runtimes.ncnn_rules_moves import MOVES

INTEGER_TERMS = (1, 101)


def _input(reader: Reader) -> Made:
    if reader.bottoms:
        raise reader.wrong("it reads a blob")
    return [reader.shape(axes_of(reader))], []


def _memory(reader: Reader) -> Made:
    made, _ = _input(reader)
    return made, [Wanted(math.prod(made[0].dims))]


def _split(reader: Reader) -> Made:
    return [reader.one(codes=True)] * len(reader.layer.tops), []


def _same(*reals: int, ranks: tuple[int, ...] = (), wholes: dict[int, int] | None = None) -> Rule:
    """A rule for layers that keep the shape: numbers of real parameters, and of whole ones with their largest value."""

    def rule(reader: Reader) -> Made:
        source = reader.one(*ranks)
        for key in reals:
            reader.real(key)
        for key, high in (wholes or {}).items():
            reader.whole(key, 0, 0, high)
        return [source], []

    return rule


def _activation(reader: Reader) -> None:
    kind, params = reader.whole(9, 0, 0, 6), reader.array(10)
    if len(params) != {2: 1, 3: 2, 6: 2}.get(kind, 0) or not all(isinstance(n, float) for n in params):
        raise reader.wrong(f"its activation {kind} has the parameters {params}")


def _reach(reader: Reader, side: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
    extent = dilation * (kernel - 1) + 1
    if side + sum(pads) < extent:
        raise reader.wrong(f"its window of {extent} is larger than its image of {side} with padding {pads}")
    return (side + sum(pads) - extent) // stride + 1


def _window(reader: Reader) -> list[tuple[int, int, int, tuple[int, int]]]:
    """Kernel, stride, dilation and pads of rows and columns of a layer with weights."""
    rows = (11, 13, 12, (14, 16))
    columns = (1, 3, 2, (4, 15))
    return [
        (reader.whole(k, 0, 1), reader.whole(s, 0, 1), reader.whole(d, 0, 1), (reader.whole(a, 0), reader.whole(b, 0)))
        for k, s, d, (a, b) in (rows, columns)
    ]


def _convolution(reader: Reader) -> Made:
    term = reader.whole(8, 0, 0, 101)
    source = reader.one(3, codes=term in INTEGER_TERMS)
    outputs, group = reader.whole(0, 0, 1), reader.whole(7, 1, 1)
    both = reader.layer.kind == "ConvolutionDepthWise"
    lines = _window(reader)
    reader.real(18)
    _activation(reader)
    channels = source.dims[0]
    count = reader.whole(6, 0, 1)
    per_group = (channels // group) * outputs * lines[0][0] * lines[1][0]
    if channels % group or outputs % group or count != per_group or both != (group > 1):
        raise reader.wrong(f"{count} weights do not fit {channels} channels, {outputs} outputs in {group} groups")
    dims = (outputs, *(_reach(reader, source.dims[1 + i], *line) for i, line in enumerate(lines)))
    if term in INTEGER_TERMS and group > 1 and not group == channels == outputs:
        raise reader.wrong("8-bit layers of groups must be depthwise")
    return [reader.shape(dims, codes=term == 101)], _weighted(reader, 5, count, outputs, term)


def _weighted(reader: Reader, bias_key: int, count: int, outputs: int, term: int) -> list[Wanted]:
    """Weights, bias and scales. Raises EngineError for a term that we do not write."""
    if term not in (0, *INTEGER_TERMS):
        raise reader.wrong(f"its int8_scale_term is {term}; 0, 1 and 101 are known")
    wanted = [Wanted(count, tagged=True, codes=term > 0)]
    if reader.whole(bias_key, 0, 0, 1):
        wanted.append(Wanted(outputs))
    if term:
        wanted += [Wanted(outputs), Wanted(1)]
    return [*wanted, Wanted(1)] if term == 101 else wanted


def _deconvolution(reader: Reader) -> Made:
    source = reader.one(3)
    outputs, group = reader.whole(0, 0, 1), reader.whole(7, 1, 1)
    lines, more = _window(reader), (reader.whole(19, 0), reader.whole(18, 0))
    _activation(reader)
    channels, count = source.dims[0], reader.whole(6, 0, 1)
    depthwise = reader.layer.kind == "DeconvolutionDepthWise"
    fits = channels % group == 0 and outputs % group == 0 and depthwise == (group > 1)
    if not fits or count != channels // group * outputs * lines[0][0] * lines[1][0]:
        raise reader.wrong(f"{count} weights do not fit {channels} channels, {outputs} outputs in {group} groups")
    sides = tuple(
        (source.dims[1 + i] - 1) * stride + dilation * (kernel - 1) + 1 + more[i] - sum(pads)
        for i, (kernel, stride, dilation, pads) in enumerate(lines)
    )
    if any(more[i] >= lines[i][1] and more[i] > 0 for i in (0, 1)):
        raise reader.wrong(f"its output padding {more} is not below its strides")
    return [reader.shape((outputs, *sides))], _weighted(reader, 5, count, outputs, 0)


def _inner_product(reader: Reader) -> Made:
    term = reader.whole(8, 0, 0, 1)
    source = reader.one(1, 2, codes=term == 1)
    outputs, count = reader.whole(0, 0, 1), reader.whole(2, 0, 1)
    _activation(reader)
    if count != source.dims[-1] * outputs:
        raise reader.wrong(f"{count} weights do not fit {source.dims[-1]} inputs and {outputs} outputs")
    return [reader.shape((*source.dims[:-1], outputs))], _weighted(reader, 1, count, outputs, term)


def _matmul(reader: Reader) -> Made:
    if len(reader.bottoms) != 2 or any(blob.codes for blob in reader.bottoms):
        raise reader.wrong("it must read two blobs of floats")
    first, second = (blob.dims for blob in reader.bottoms)
    if len(first) not in (2, 3) or len(first) != len(second) or first[:-2] != second[:-2] or first[-1] != second[-2]:
        raise reader.wrong(f"{first} and {second} cannot be multiplied")
    return [reader.shape((*first[:-1], second[-1]))], []


def _binary(reader: Reader) -> Made:
    reader.whole(0, 0, 0, 9)
    if reader.whole(1, 0, 0, 1):
        reader.real(2)
        return [reader.one()], []
    if len(reader.bottoms) != 2 or any(blob.codes for blob in reader.bottoms):
        raise reader.wrong("it must read two blobs of floats")
    first, second = (blob.dims for blob in reader.bottoms)
    fits = len(first) == len(second) and all(a == b or 1 in (a, b) for a, b in zip(first, second, strict=True))
    if not fits:
        raise reader.wrong(f"{first} and {second} do not broadcast")
    return [reader.shape(tuple(max(pair) for pair in zip(first, second, strict=True)))], []


def _pooling(reader: Reader) -> Made:
    source = reader.one(3)
    function = reader.whole(0, 0, 0, 1)
    if reader.whole(4, 0, 0, 1):
        return [reader.shape(source.dims[:1])], []
    lines = [
        (reader.whole(k, 0, 1), reader.whole(s, 0, 1), 1, (reader.whole(a, 0), reader.whole(b, 0)))
        for k, s, a, b in ((11, 12, 13, 15), (1, 2, 3, 14))
    ]
    reader.whole(5, 0, 1, 1)
    reader.whole(6, 0, 0, 1)
    for side, (kernel, stride, _, pads) in zip(source.dims[1:], lines, strict=True):
        last = (side + sum(pads) - kernel) // stride * stride
        if function == 1 and (pads[0] >= kernel or last >= side + pads[0]):
            raise reader.wrong("a window of its average lies in the padding alone")
    dims = tuple(_reach(reader, source.dims[1 + i], *line) for i, line in enumerate(lines))
    return [reader.shape((source.dims[0], *dims))], []


def _reduction(reader: Reader) -> Made:
    source = reader.one(3)
    reader.whole(0, 0, 0, 8)
    fixed = [reader.whole(1, 1, 0, 0), reader.whole(4, 0, 1, 1), reader.whole(5, 0, 1, 1)]
    if reader.array(3) != (1,) or fixed != [0, 1, 1]:
        raise reader.wrong("only the middle axis can be reduced")
    return [reader.shape((source.dims[0], 1, source.dims[2]))], []


def _softmax(reader: Reader) -> Made:
    source = reader.one()
    reader.whole(0, 0, 0, len(source.dims) - 1)
    reader.whole(1, 0, 1, 1)
    return [source], []


def _layer_norm(reader: Reader) -> Made:
    source = reader.one(1, 2)
    reader.real(1)
    reader.whole(2, 1, 1, 1)
    count = reader.whole(0, 0, source.dims[-1], source.dims[-1])
    return [source], [Wanted(count), Wanted(count)]


def _per_channel(reader: Reader) -> Made:
    """InstanceNorm and Scale: two numbers for each channel of an image."""
    source = reader.one(3)
    count = reader.whole(0, 0, source.dims[0], source.dims[0])
    if reader.layer.kind == "InstanceNorm":
        reader.real(1)
        reader.whole(2, 1, 1, 1)
    else:
        reader.whole(1, 0, 1, 1)
    return [source], [Wanted(count), Wanted(count)]


def _prelu(reader: Reader) -> Made:
    source = reader.one()
    count = reader.whole(0, 0, 1)
    if count not in (1, source.dims[0]):
        raise reader.wrong(f"{count} slopes do not fit {source.dims[0]} channels")
    return [source], [Wanted(count)]


def _quantize(reader: Reader) -> Made:
    source = reader.one()
    reader.whole(0, 1, 1, 1)
    return [Shape(source.dims, codes=True)], [Wanted(1)]


def _lrn(reader: Reader) -> Made:
    source = reader.one(3)
    reader.whole(0, 0, 0, 0)
    reader.whole(1, 5, 1, 255)
    for key in (2, 3, 4):
        reader.real(key)
    return [source], []


RULES: dict[str, Rule] = {
    "Input": _input,
    "MemoryData": _memory,
    "Split": _split,
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _deconvolution,
    "DeconvolutionDepthWise": _deconvolution,
    "InnerProduct": _inner_product,
    "MatMul": _matmul,
    "BinaryOp": _binary,
    "UnaryOp": _same(wholes={0: 27}),
    "Clip": _same(0, 1),
    "ReLU": _same(0),
    "ELU": _same(0),
    "GELU": _same(wholes={0: 1}),
    "HardSigmoid": _same(0, 1),
    "HardSwish": _same(0, 1),
    **dict.fromkeys(("Sigmoid", "TanH", "Erf", "Softplus", "Mish", "Swish"), _same()),
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Reduction": _reduction,
    "Softmax": _softmax,
    "LayerNorm": _layer_norm,
    "InstanceNorm": _per_channel,
    "Scale": _per_channel,
    "LRN": _lrn,
    "Quantize": _quantize,
    **MOVES,
}
"""Every layer that a network may have."""
