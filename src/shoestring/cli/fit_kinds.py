"""What a model is to `fit`: see `importers.kinds`."""

from shoestring.importers.kinds import ENCODER, IMAGE, WRITER, kind_of

__all__ = ["ENCODER", "IMAGE", "WRITER", "kind_of"]
