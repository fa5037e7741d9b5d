"""Latency on what is no processor: Edge TPU, NPU, GPU, FPGA and microcontrollers."""

from shoestring.costmodel.accelerators.decode import predict_decode
from shoestring.costmodel.accelerators.language_models import LanguageModel, dense
from shoestring.costmodel.accelerators.predict import accelerator_combinations, predict_accelerator

__all__ = [
    "LanguageModel",
    "accelerator_combinations",
    "dense",
    "predict_accelerator",
    "predict_decode",
]
