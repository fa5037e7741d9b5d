"""What a graph costs: operators, MACs, bytes moved, peak activation memory."""

from shoestring.analysis.profiling import operators, profile

__all__ = ["operators", "profile"]
