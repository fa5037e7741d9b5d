"""The main job: the one room that knows the order of the others."""

from shoestring.fitting.fit import fit
from shoestring.fitting.outcome import Fitted

__all__ = ["Fitted", "fit"]
