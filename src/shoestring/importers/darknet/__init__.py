"""Darknet's .cfg and .weights -> ONNX, read in quarantine."""
