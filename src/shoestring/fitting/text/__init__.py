"""The main job for encoders of text."""

from shoestring.fitting.text.fit import fit_text

__all__ = ["fit_text"]
