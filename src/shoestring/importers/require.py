"""The one import of onnx in this room: in the child process, and with the right words when it is missing."""

from __future__ import annotations

from shoestring.base.errors import MissingExtraError

try:
    import onnx
    import onnx.inliner
    import onnx.reference
    import onnx.version_converter
    from google.protobuf.message import DecodeError, EncodeError, Message
    from onnx import checker, defs, helper, numpy_helper, shape_inference
except ImportError as error:
    raise MissingExtraError("onnx", "fit") from error

__all__ = [
    "DecodeError",
    "EncodeError",
    "Message",
    "checker",
    "defs",
    "helper",
    "numpy_helper",
    "onnx",
    "shape_inference",
]
