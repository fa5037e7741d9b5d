"""Peers made by ONNX Runtime's own quantizer. Each function runs in a process of its own.

Source of the settings: the docstring of `quantize_static` and the page "Quantize ONNX models"
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from peers_inputs import Inputs
from shoestring.compress.scheme import scheme_for


class Reader(CalibrationDataReader):
    """Calibration inputs in the shape that the quantizer asks for."""

    def __init__(self, inputs: Inputs) -> None:
        self._feeds = inputs.feeds()

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def defaults(request: dict[str, Any]) -> dict[str, Any]:
    """`quantize_static` with nothing set."""
    reader = Reader(Inputs(request, "calibration"))
    start = time.perf_counter()
    quantize_static(request["model"], request["out"], reader)
    return {"seconds": time.perf_counter() - start, "note": "quantize_static, nothing set"}


def documented(request: dict[str, Any]) -> dict[str, Any]:
    """`quantize_static` as its documentation advises for this processor, after `quant_pre_process`."""
    scheme = scheme_for(request["isa"])  # the same table of integer types that the documentation gives
    reduce = scheme.weight_bits < 8
    reader = Reader(Inputs(request, "calibration"))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(request["model"], prepared)
        quantize_static(
            prepared,
            request["out"],
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce,
            activation_type=QuantType.QUInt8 if scheme.activation == "uint8" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
    note = f"quant_pre_process, QDQ, per channel, {scheme.activation} x int8, reduce_range={reduce}"
    return {"seconds": time.perf_counter() - start, "note": note}
