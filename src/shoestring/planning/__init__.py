"""Deciding before the board is bought: forecasts of a model on a chip, and advice over all chips."""

from shoestring.planning.advising import advise
from shoestring.planning.predicting import Wish, predict

__all__ = ["Wish", "advise", "predict"]
