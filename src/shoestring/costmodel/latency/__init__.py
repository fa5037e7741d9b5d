"""Latency on processors: prices of a network's operations, pooled over chips, with intervals."""

from shoestring.costmodel.latency.runtimes import predict_latency

__all__ = ["predict_latency"]
