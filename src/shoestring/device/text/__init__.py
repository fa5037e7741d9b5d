"""Encoders of text on a device."""

from shoestring.device.text.player import TextAnswer, TextPlayer

__all__ = ["TextAnswer", "TextPlayer"]
