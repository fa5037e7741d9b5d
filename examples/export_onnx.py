"""Store a torch image model as one ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def export(model: nn.Module, pixels: int, path: Path) -> None:
    """Input `image` (N, 3, pixels, pixels) with a free batch size; output `logits`."""
    batch = torch.export.Dim("N", min=1, max=1024)
    program = torch.onnx.export(
        model.eval().to(memory_format=torch.contiguous_format),
        (torch.zeros(2, 3, pixels, pixels),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: batch},),
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    program.save(str(path), external_data=False)
