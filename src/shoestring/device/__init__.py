"""What runs on the chip: open a bundle, replay its golden set, answer images. Light by rule."""

from shoestring.device.answers import Answer
from shoestring.device.files import expand, read_image, read_picture
from shoestring.device.player import Player

__all__ = ["Answer", "Player", "expand", "read_image", "read_picture"]
