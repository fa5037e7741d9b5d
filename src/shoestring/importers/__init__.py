"""Any format -> one normalised ONNX file, read in quarantine."""

from shoestring.importers.importing import import_model

__all__ = ["import_model"]
