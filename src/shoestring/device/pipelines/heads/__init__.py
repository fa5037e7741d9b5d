"""Detection heads: from a model's flat output to candidates, one kind of head a file.

All of them look at scores first, and touch nothing else of a place whose score cannot reach the threshold.
"""

from shoestring.device.pipelines.heads.decoding import decode, detect

__all__ = ["decode", "detect"]
