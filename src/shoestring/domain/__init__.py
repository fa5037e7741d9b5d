"""The nouns: frozen dataclasses without I/O. Fractions are in [0, 1], times in ms, sizes in bytes."""
