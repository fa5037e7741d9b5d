"""Latency on processors: prices of a network's operations, pooled over chips, with intervals."""
