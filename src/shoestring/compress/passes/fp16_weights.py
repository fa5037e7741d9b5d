"""Weights stored in half precision and widened when the model is loaded: half the size, the speed of fp32."""

from __future__ import annotations

import numpy as np
import onnx

from shoestring.compress.graph import Graph, make_node
from shoestring.compress.passes.protocol import Options, Workshop

LARGE_ELEMENTS = 256  # smaller tensors save less than the Cast node costs


class Fp16Weights:
    """No options. Arithmetic stays in float32; general runtimes on CPUs without fp16 units fold the casts at load."""

    name = "fp16_weights"

    def requires(self, graph: Graph, options: Options) -> str | None:
        large = _large(graph)
        if not large:
            return f"no float32 weight has {LARGE_ELEMENTS} elements or more"
        limit = float(np.finfo(np.float16).max)
        for name in large:
            peak = float(np.abs(graph.weights[name]).max())
            if peak > limit:
                return f"weight {name!r} reaches {peak:g}, beyond the largest fp16 number {limit:g}"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        casts = []
        for name in _large(graph):
            narrow = f"{name}/fp16"
            graph.weights[narrow] = graph.weights.pop(name).astype(np.float16)
            casts.append(make_node("Cast", [narrow], [name], f"{name}/widen", to=int(onnx.TensorProto.FLOAT)))
        graph.nodes = [*casts, *graph.nodes]
        graph.reindex()
        return graph, (f"{len(casts)} weights stored in fp16, widened to fp32 at load",)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        left = _large(graph)
        return f"weight {left[0]!r} stayed in float32" if left else None


def _large(graph: Graph) -> list[str]:
    return [name for name, value in graph.weights.items() if value.dtype == np.float32 and value.size >= LARGE_ELEMENTS]
