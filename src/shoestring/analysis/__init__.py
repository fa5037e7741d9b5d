"""What a graph costs: operators, MACs, bytes moved, peak activation memory."""

from shoestring.analysis.features import features_of
from shoestring.analysis.profiling import operators, profile

__all__ = ["features_of", "operators", "profile"]
