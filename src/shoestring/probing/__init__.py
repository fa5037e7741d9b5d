"""Measures a machine: what it can do at most, and a suite of operators on every runtime that is there."""

from shoestring.probing.probe import Probed, probe

__all__ = ["Probed", "probe"]
