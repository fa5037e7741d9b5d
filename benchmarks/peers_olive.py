"""The peer Microsoft Olive. Runs in a process of its own.

Source of the settings: Olive's documentation of the pass OnnxStaticQuantization and of its data configs
(https://microsoft.github.io/Olive): per-channel weights, QDQ, preparation by ONNX Runtime's quant_pre_process.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from olive.data.registry import Registry
from olive.workflows import run

from peers_inputs import Inputs
from shoestring.base import disk
from shoestring.base.errors import EngineError
from shoestring.compress.scheme import scheme_for

LOADER = "shoestring_photos"


class Photos(torch.utils.data.Dataset[Any]):
    """Calibration inputs as Olive's loader takes them: a dict without the batch axis, and a label that nobody reads."""

    def __init__(self, inputs: Inputs) -> None:
        self.feeds = [{name: value[0] for name, value in feed.items()} for feed in inputs.feeds()]

    def __len__(self) -> int:
        return len(self.feeds)

    def __getitem__(self, place: int) -> tuple[dict[str, np.ndarray[Any, Any]], int]:
        return self.feeds[place], 0


def static(request: dict[str, Any]) -> dict[str, Any]:
    """OnnxStaticQuantization with per-channel weights and the integer types for this processor."""
    scheme = scheme_for(request["isa"])
    photos = Photos(Inputs(request, "calibration"))

    @Registry.register_dataset(LOADER)  # type: ignore[untyped-decorator]
    def dataset(**_: Any) -> Photos:
        return photos

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run(
            {
                "input_model": {"type": "ONNXModel", "model_path": request["model"]},
                "data_configs": [
                    {
                        "name": "photos",
                        "type": "DummyDataContainer",
                        "load_dataset_config": {"type": LOADER},
                        "pre_process_data_config": {"type": "skip_pre_process"},
                        "post_process_data_config": {"type": "skip_post_process"},
                        "dataloader_config": {"type": "default_dataloader", "batch_size": 1},
                    }
                ],
                "passes": {
                    "quantize": {
                        "type": "OnnxStaticQuantization",
                        "data_config": "photos",
                        "quant_format": "QDQ",
                        "per_channel": True,
                        "precision": "int8",
                        "activation_type": scheme.activation,
                        "reduce_range": scheme.weight_bits < 8,
                    }
                },
                "output_dir": folder,
                "cache_dir": str(Path(folder) / "cache"),
                "no_artifacts": True,
                "log_severity_level": 4,
            }
        )
        seconds = time.perf_counter() - start
        made = sorted(Path(folder).rglob("*.onnx"), key=lambda path: "cache" in path.parts)
        if not made:
            raise EngineError("Olive wrote no ONNX file")
        disk.write_bytes(Path(request["out"]), made[0].read_bytes())
    return {"seconds": seconds, "note": f"OnnxStaticQuantization, QDQ, per channel, {scheme.activation} x int8"}
