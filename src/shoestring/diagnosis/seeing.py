"""Runs images through a model and keeps what the diseases ask of them: a range a channel, and a few whole tensors.

Ranges are reduced inside the graph, so that a batch leaves a few numbers for each tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.graph import Graph, make_node
from shoestring.compress.observe import RUNTIME
from shoestring.diagnosis.ends import MOVES, SQUASHES, before_outputs
from shoestring.diagnosis.examination import Seen, Span
from shoestring.runtimes import registry

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Batches = Iterable[Mapping[str, Array]]
Run = Callable[[Array], Array]

THROUGH = MOVES | SQUASHES | {"DequantizeLinear"}
_LOW, _HIGH = "/doctor/low", "/doctor/high"


def see(graph: Graph, ranks: Mapping[str, int], batches: Batches, threads: int = 1) -> Seen:
    """What the batches show.

    Args:
        graph: the model; not changed.
        ranks: number of dimensions of each float activation to look at.
        batches: graph inputs by name; the first dimension counts examples.
        threads: of the runtime.

    Raises:
        EngineError: the runtime cannot load or run the model.
    """
    probed = graph.copy()
    for name, rank in ranks.items():
        probed.nodes.extend(_probes(probed, name, rank))
    whole = [name for name in whole_tensors(graph) if name in ranks or name in graph.outputs]
    lows: dict[str, Array] = {}
    highs: dict[str, Array] = {}
    parts: dict[str, list[Array]] = {name: [] for name in whole}
    extra = [name + end for name in ranks for end in (_LOW, _HIGH)] + [n for n in whole if n not in graph.outputs]
    images = 0
    with registry.get(RUNTIME).load(probed.to_bytes(extra), threads) as session:
        for batch in batches:
            images += len(next(iter(batch.values())))
            answers = session.run(batch)
            for name in ranks:
                low = answers[name + _LOW].astype(np.float64).reshape(-1)
                high = answers[name + _HIGH].astype(np.float64).reshape(-1)
                lows[name] = np.minimum(lows[name], low) if name in lows else low
                highs[name] = np.maximum(highs[name], high) if name in highs else high
            for name in whole:
                parts[name].append(answers[name])
    spans = {name: Span(lows[name], highs[name]) for name in lows}
    return Seen(images, spans, {name: np.concatenate(held) for name, held in parts.items() if held})


def whole_tensors(graph: Graph) -> list[str]:
    """Graph outputs, and the tensors that feed the last quantizer or clip before each."""
    names = list(graph.outputs)
    for _, node in before_outputs(graph, THROUGH):
        if node.op_type in ("QuantizeLinear", "Clip", "Relu"):
            names.append(node.input[0])
            behind = graph.producers.get(node.input[0])
            if node.op_type == "QuantizeLinear" and behind is not None and behind.op_type in ("Clip", "Relu"):
                names.append(behind.input[0])
    return list(dict.fromkeys(names))


def batched_run(session: Any, batch: int | None) -> Run:
    """Inputs (n, ...) of any n to the first output (n, ...), for a model whose batch may be fixed."""
    entry, answer = session.inputs[0].name, session.outputs[0].name

    def run(inputs: Array) -> Array:
        parts = []
        for start, part in pieces(inputs, batch or len(inputs)):
            parts.append(session.run({entry: part})[answer][: len(inputs) - start])
        return np.concatenate(parts)

    return run


def pieces(inputs: Array, size: int) -> Iterable[tuple[int, Array]]:
    """(start, inputs of exactly `size`): the last one is filled up with its last example."""
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        missing = size - len(part)
        yield start, np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def _probes(graph: Graph, name: str, rank: int) -> list[onnx.NodeProto]:
    """ReduceMin and ReduceMax over all axes but the channels': an input since opset 18, an attribute before."""
    channel = 1 if rank > 3 else rank - 1
    axes = [axis for axis in range(rank) if axis != channel]
    found = []
    for operator, result in (("ReduceMin", name + _LOW), ("ReduceMax", name + _HIGH)):
        if graph.opset < 18:
            found.append(make_node(operator, [name], [result], result, keepdims=0, axes=axes))
        else:
            graph.weights["/doctor/axes" + str(rank)] = np.array(axes, np.int64)
            found.append(make_node(operator, [name, "/doctor/axes" + str(rank)], [result], result, keepdims=0))
    return found
