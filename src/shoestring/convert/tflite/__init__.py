"""ONNX graphs as TFLite files, full-integer with the graph's own scales where it is quantized."""

from shoestring.convert.tflite.converting import convert

__all__ = ["convert"]
