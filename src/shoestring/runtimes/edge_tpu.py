"""Google's Edge TPU (https://coral.ai) through LiteRT: a delegate takes what edgetpu_compiler mapped to the chip."""

from __future__ import annotations

import ctypes
from typing import Any

from shoestring.base.errors import EngineError
from shoestring.runtimes.checks import one_line
from shoestring.runtimes.litert import LiteRtRuntime

LIBRARY = "libedgetpu.so.1"


class EdgeTpuRuntime(LiteRtRuntime):
    """LiteRT with the Edge TPU's delegate; operators that were not compiled for the chip run on the CPU."""

    name = "edgetpu"

    def version(self) -> str:
        """Of LiteRT, and that the Edge TPU's library stands beside it. Raises MissingExtraError."""
        return f"{super().version()}+{LIBRARY}"

    def _delegates(self, module: Any) -> list[Any]:
        """The chip's. Raises EngineError when its library or the chip is missing."""
        try:
            ctypes.CDLL(LIBRARY)  # the module's own error for a missing one leaves an object that cannot be deleted
            return [module.load_delegate(LIBRARY)]
        except (OSError, ValueError) as error:
            raise EngineError(
                f"the Edge TPU cannot be used: {LIBRARY}: {one_line(error)}",
                hint="install libedgetpu1-std from Coral's package archive and connect the device, or use the runtime "
                "litert, which runs the same file on the CPU",
            ) from error


__all__ = ["EdgeTpuRuntime"]
