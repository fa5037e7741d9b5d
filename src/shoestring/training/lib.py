"""The one place that imports torch; without it everything here says how to get it."""

from __future__ import annotations

from shoestring.base.errors import MissingExtraError, UsageError

try:
    import torch
    import torch.nn.functional as functional
    from torch import nn
except ImportError as error:
    raise MissingExtraError("torch", "train") from error

__all__ = ["check_device", "functional", "nn", "torch"]


def check_device(device: str) -> None:
    """Raises UsageError when torch cannot use `device` here."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no CUDA device here", hint="use --device cpu, or install torch for CUDA")
