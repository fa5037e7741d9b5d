"""The inside of the child process: what of a graph decides its latency, summed over its steps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from shoestring.analysis.graphs import bodies, main_view, read
from shoestring.analysis.layers import layers
from shoestring.analysis.macs import macs
from shoestring.analysis.steps import ELEMENTWISE, PRODUCTS, Fused, Step, fuse
from shoestring.base import canonical
from shoestring.domain.features import TERMS, Features, Uncovered

if TYPE_CHECKING:
    from shoestring.analysis.graphs import View

_MOVES = "Concat Slice Split Pad Transpose Gather GatherElements GatherND Expand Tile DepthToSpace SpaceToDepth Resize"
_POOLS = "AveragePool MaxPool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool"
_SUMS = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ArgMax ArgMin CumSum"
_NORMS = (
    "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization LRN "
    "LpNormalization"
)
_ENDS = "Softmax LogSoftmax Hardmax Shape Size Range ConstantOfShape"
_COVERED = (
    ELEMENTWISE
    | PRODUCTS
    | {"Einsum", "LSTM", "GRU", "RNN"}
    | set(f"{_MOVES} {_POOLS} {_SUMS} {_NORMS} {_ENDS}".split())
)
"""Operators that MACs, elements and the count of layers speak for."""

_CONVOLUTIONS = frozenset(("Conv", "ConvTranspose", "ConvInteger", "QLinearConv"))
_WEIGHT = {"QLinearConv": 3, "QLinearMatMul": 3}
_IMAGE_RANK = 4


class Counts:
    """Sums over the steps of a graph and of its bodies, each body once."""

    def __init__(self) -> None:
        self.terms: Counter[str] = Counter()
        self.act_elems = 0
        self.layers = 0
        self.conv_fc_layers = 0
        self.open: dict[str, tuple[int, int]] = {}

    def add(self, view: View) -> int:
        """Count a graph. Returns its peak of live activations, in elements."""
        found = fuse(view)
        inside = {}
        for index, step in enumerate(found.steps):
            self._step(view, step)
            inside[index] = max(
                (self.add(view.body(body)) for node in step.nodes for _, body in bodies(node)), default=0
            )
        return peak_elems(view, found, inside)

    def uncovered(self) -> tuple[Uncovered, ...]:
        return tuple(Uncovered(name, count, elems) for name, (count, elems) in sorted(self.open.items()))

    def _step(self, view: View, step: Step) -> None:
        written = sum(_elems(view, name) for name in step.outputs)
        self.layers += 1
        self.act_elems += written + sum(_elems(view, name) for name in step.inputs)
        if step.kind not in _COVERED:
            count, elems = self.open.get(step.kind, (0, 0))
            self.open[step.kind] = (count + 1, elems + written)
        for node in step.nodes:
            term = _term(view, node)
            if term is not None:
                self.terms[term] += macs(view, node)
                self.conv_fc_layers += term != "other_macs"


def _term(view: View, node: Any) -> str | None:
    """Which of TERMS the MACs of a node belong to; None when it has none."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in _CONVOLUTIONS:
        return _convolution_term(view, node)
    if node.op_type in PRODUCTS:
        stored = any(name in view.stored for name in (node.input[0], node.input[_WEIGHT.get(node.op_type, 1)]))
        return "fc_macs" if stored else "other_macs"
    return "other_macs" if node.op_type in ("Einsum", "LSTM", "GRU", "RNN") else None


def _convolution_term(view: View, node: Any) -> str:
    weight = view.shape(node.input[_WEIGHT.get(node.op_type, 1)], node)
    source = view.shape(node.input[0], node)
    attributes = {item.name: item for item in node.attribute}
    group = attributes["group"].i if "group" in attributes else 1
    if group > 1:
        return "dw_macs" if group == source[1] else "group_macs"
    kernel = weight[2:]
    if node.op_type == "ConvTranspose":
        return "convk_macs"
    if set(kernel) == {1}:
        # On a map of one value this is a fully connected layer, and ncnn makes it one (`ncnnoptimize`).
        return "fc_macs" if set(source[2:]) == {1} else "conv1x1_macs"
    plain = all(set(attributes[name].ints) <= {1} for name in ("strides", "dilations") if name in attributes)
    return "conv3x3_macs" if kernel == (3, 3) and plain else "convk_macs"


def peak_elems(view: View, fused: Fused, inside: dict[int, int]) -> int:
    """Largest number of live activations over the steps.

    A tensor lives from the step that writes it to the last that reads it; inputs from the start, outputs to the end.
    Arithmetic on equal shapes is done in place where its input dies with it, as every engine does.

    Args:
        view: of the graph.
        fused: its steps.
        inside: peak of the bodies of each step, by its place.
    """
    last = {name: place for place, step in enumerate(fused.steps) for name in (*step.outputs, *step.inputs)}
    last.update(dict.fromkeys(fused.pinned, len(fused.steps)))
    live = {name: _elems(view, name) for name in view.activations(value.name for value in view.graph.input)}
    total = peak = sum(live.values())
    for place, step in enumerate(fused.steps):
        written = {name: _elems(view, name) for name in step.outputs}
        dying = [live[name] for name in step.inputs if last[name] == place and name in live]
        size = sum(written.values())
        in_place = step.kind in ELEMENTWISE and size in dying
        peak = max(peak, total + (0 if in_place else size) + inside.get(place, 0))
        live.update(written)
        live = {name: elems for name, elems in live.items() if last.get(name, -1) > place}
        total = sum(live.values())
    return peak


def _elems(view: View, name: str) -> int:
    found = view.tensors.get(name)
    return 0 if found is None else found.count


def input_words(shape: tuple[int, ...]) -> str:
    """(1, 3, 224, 224) and (1, 224, 224, 3) -> '224x224x3'; other shapes joined by x."""
    if len(shape) == _IMAGE_RANK:
        _, first, middle, last = shape
        shape = (first, middle, last) if last <= _IMAGE_RANK < first else (middle, last, first)
    return "x".join(str(size) for size in shape)


def features(path: str) -> dict[str, Any]:
    """The Features of a file at batch 1, as plain values, under no name. Raises ModelError."""
    view = main_view(read(Path(path)), 1)
    counts = Counts()
    peak = counts.add(view)
    weights = {item.name for item in view.graph.initializer}
    first = next(value.name for value in view.graph.input if value.name not in weights)
    shape = view.tensors[first].shape
    found = Features(
        name="",
        input=input_words(shape or ()),
        params=sum(layer.parameters for layer in layers(view, set())),
        act_elems=counts.act_elems,
        layers=counts.layers,
        conv_fc_layers=counts.conv_fc_layers,
        peak_activation_elems=peak,
        uncovered=counts.uncovered(),
        **{term: counts.terms[term] for term in TERMS},
    )
    return cast("dict[str, Any]", canonical.plain(found))
