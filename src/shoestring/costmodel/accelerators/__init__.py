"""Latency on what is no processor: Edge TPU, NPU, GPU, FPGA and microcontrollers."""

from shoestring.costmodel.accelerators.predict import accelerator_combinations, predict_accelerator

__all__ = ["accelerator_combinations", "predict_accelerator"]
