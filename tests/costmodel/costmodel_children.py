"""Functions that tests call in a child process."""

import ctypes
import sys


def heavy_imports(_: object) -> list[str]:
    """Which heavy packages the measuring module brings in by itself."""
    import shoestring.costmodel.rss_child  # noqa: F401

    return [name for name in ("onnx", "scipy", "onnxruntime", "torch", "pandas") if name in sys.modules]


def die(_: object) -> None:
    """What a broken engine does: read where there is no memory."""
    ctypes.string_at(0)
