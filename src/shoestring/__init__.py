"""Shoestring: the best model a cheap chip can run, proven, governed and signed."""

from shoestring._version import __version__

__all__ = ["__version__"]
