"""Weights rounded into block types: scales by importance, codes in the second order."""

from shoestring.weights.encode.matrix import METHODS, quantize

__all__ = ["METHODS", "quantize"]
