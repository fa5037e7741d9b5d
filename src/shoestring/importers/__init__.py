"""Any format -> one normalised ONNX file, read in quarantine."""

from shoestring.importers.importing import import_model
from shoestring.importers.module import import_module

__all__ = ["import_model", "import_module"]
