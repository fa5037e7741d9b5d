"""8-bit weights with activation ranges found at run time, for networks made of matrix products."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import onnx

from shoestring.base import disk
from shoestring.base.errors import MissingExtraError, UsageError
from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted
from shoestring.compress.passes.protocol import Options, Workshop

OPERATORS = ("MatMul", "Gemm")


class DynamicInt8:
    """Option: `weight_bits`, 8 or 7 (8): with 7 no sum of two products saturates in 16 bits (see schemes.toml).

    Uses ONNX Runtime's quantizer: per-channel signed weights, ranges of activations at run time.
    """

    name = "dynamic_int8"

    def requires(self, graph: Graph, options: Options) -> str | None:
        _narrow(options)
        if not any(node.op_type in OPERATORS and is_weighted(graph, node) for node in graph.nodes):
            return "no MatMul or Gemm has constant float32 weights"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        try:
            from onnxruntime.quantization import QuantType, quantize_dynamic
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "fit") from error
        with tempfile.TemporaryDirectory() as name:
            source, target = Path(name) / "float.onnx", Path(name) / "int8.onnx"
            disk.write_bytes(source, graph.to_bytes())
            logging.getLogger().setLevel(max(logging.ERROR, logging.getLogger().level))
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                reduce_range=_narrow(options),
                weight_type=QuantType.QInt8,
            )
            return Graph(onnx.load_model_from_string(target.read_bytes())), ("activation ranges are found at run time",)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        integer = {"MatMulInteger", "DynamicQuantizeMatMul"}
        return None if any(node.op_type in integer for node in graph.nodes) else "nothing was quantized"


def _narrow(options: Options) -> bool:
    """Whether weights have 7 bits. Raises UsageError."""
    bits = options.get("weight_bits", 8)
    if bits not in (7, 8):
        raise UsageError(f"weight_bits must be 7 or 8, got {bits!r}")
    return bits == 7
