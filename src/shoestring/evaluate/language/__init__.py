"""Models that write: texts as independent blocks, how far a variant moves from the original on them, and the proof."""
