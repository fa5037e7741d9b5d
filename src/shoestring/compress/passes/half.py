"""Arithmetic in 16 bits, for chips that have it: fp16 on Armv8.2 and Jetson, bf16 on newer server and phone cores.

Which inputs of an operator may be 16 bits wide is read from ONNX's own schemas for the graph's operator set. What would
leave fp16's range on the calibration batches stays in fp32 with a Cast on both sides, and is named; what fp16 can hold
and what it loses is in Micikevicius et al., "Mixed Precision Training", ICLR 2018 (arXiv 1710.03740), section 3.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx

from shoestring.base.errors import MissingExtraError, UsageError
from shoestring.compress.graph import Array, Graph
from shoestring.compress.half_types import Widths, able
from shoestring.compress.observe import Range, run_batches
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.passes.static_int8 import float_layers

KINDS = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}
MARGIN = 2.0
"""Other inputs than those of calibration may reach further: what gets within this factor of the limit stays in fp32."""
FP16_LIMIT = float(np.finfo(np.float16).max)
NAMES_SHOWN = 5


class Half:
    """Options: `kind` (fp16 or bf16), `float_layers` (names that stay in fp32), `keep_io_types` (True)."""

    name = "half"

    def requires(self, graph: Graph, options: Options) -> str | None:
        kind = _kind(options)
        missing = float_layers(options) - {node.name for node in graph.nodes}
        if missing:
            return f"no layer is called {sorted(missing)[0]!r}"
        if not able(graph, kind):
            return f"no operator of this model may work in {kind} in operator set {graph.opset}"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        kind, named = _kind(options), float_layers(options)
        possible = able(graph, kind) - named
        wide = _out_of_range(graph, possible, workshop) if kind == "fp16" else {}
        measured = _measured_transposes(graph) & possible
        taken = possible - wide.keys() - measured
        widths = Widths(graph, KINDS[kind], _element(kind))
        widths.rewrite(taken, keep_io=bool(options.get("keep_io_types", True)))
        notes = [f"{len(taken)} operators in {kind}"]
        unable = Counter(node.op_type for node in widths.source if node.name not in possible | named)
        if unable:
            kinds = ", ".join(f"{operator} ({count})" for operator, count in sorted(unable.items()))
            notes.append(f"not defined in {kind}, or without a float result: {kinds}")
        if wide:
            shown = [f"{name} ({why})" for name, why in sorted(wide.items())[:NAMES_SHOWN]]
            more = f" and {len(wide) - NAMES_SHOWN} others" if len(wide) > NAMES_SHOWN else ""
            notes.append(f"kept in fp32 because fp16 cannot hold their values: {', '.join(shown)}{more}")
        if measured:
            notes.append(
                f"kept in fp32 because ONNX Runtime may crash on them in 16 bits: {', '.join(sorted(measured))}"
            )
        if named:
            notes.append(f"kept in fp32 by name: {', '.join(sorted(named))}")
        return graph, tuple(notes)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        kind = KINDS[_kind(options)]
        casts = any(
            attribute.i == kind for node in graph.nodes if node.op_type == "Cast" for attribute in node.attribute
        )
        inputs = any(value.type.tensor_type.elem_type == kind for value in graph.proto.graph.input)
        stored = any(value.dtype == _element(_kind(options)) for value in graph.weights.values())
        return None if casts or inputs or stored else "nothing works in 16 bits"


def _kind(options: Options) -> str:
    kind = str(options.get("kind", "fp16"))
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r} of half precision", hint=f"known: {', '.join(KINDS)}")
    return kind


def _element(kind: str) -> np.dtype[Any]:
    if kind == "fp16":
        return np.dtype(np.float16)
    try:
        import ml_dtypes
    except ImportError as error:
        raise MissingExtraError("ml_dtypes", "fit") from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def _measured_transposes(graph: Graph) -> set[str]:
    """Transposes whose result a Shape reads: ONNX Runtime 1.32 on x86 ends with a segmentation fault while it loads
    them in 16 bits (seen on a torch export of an encoder; gone when these alone stay in fp32)."""
    return {
        node.name
        for node in graph.nodes
        if node.op_type == "Transpose"
        and any(reader.op_type == "Shape" for reader in graph.consumers.get(node.output[0], []))
    }


def _out_of_range(graph: Graph, possible: set[str], workshop: Workshop) -> dict[str, str]:
    """Why each of these operators cannot work in fp16, by name."""
    spans = _spans(graph, possible, workshop)
    found = {}
    for node in graph.nodes:
        if node.name not in possible:
            continue
        for name in [*node.input, *node.output]:
            if name in graph.weights:
                why = _constant_trouble(graph.weights[name])
            elif name in spans and max(-spans[name].low, spans[name].high) * MARGIN > FP16_LIMIT:
                why = f"reaches {max(-spans[name].low, spans[name].high):.3g}"
            else:
                why = None
            if why is not None:
                found[node.name] = why
    return found


def _constant_trouble(value: Array) -> str | None:
    if value.dtype != np.float32 or not value.size:
        return None
    peak = float(np.abs(value).max())
    if peak > FP16_LIMIT:
        return f"a constant of {peak:.3g}"
    if value.size == 1 and peak > 0 and np.float16(peak) == 0:
        return f"a constant of {peak:.3g}, which would become 0"
    return None


def _spans(graph: Graph, possible: set[str], workshop: Workshop) -> dict[str, Range]:
    """Ranges of every float tensor these operators read or make: infinity where a tensor is not finite."""
    names = {name for node in graph.nodes if node.name in possible for name in [*node.input, *node.output] if name}
    inner = sorted(name for name in names if name in graph.producers)
    spans = {name: span for name, span in workshop.ranges.items() if name in names}
    for _, seen in run_batches(
        graph, lambda: iter([dict(batch) for batch in workshop.batches]), inner, workshop.threads
    ):
        for name in inner:
            value = seen[name]
            if value.dtype == np.float32 and value.size:
                old = spans.get(name, Range(0.0, 0.0))
                low, high = float(value.min()), float(value.max())
                if not np.isfinite([low, high]).all():
                    low, high = -np.inf, np.inf
                spans[name] = Range(min(old.low, low), max(old.high, high))
    return spans
