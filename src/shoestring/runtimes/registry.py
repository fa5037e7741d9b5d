"""Runtimes by name. Naming one imports its adapter; the engine behind it is imported when it is used."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from shoestring.runtimes.protocol import Runtime


@dataclass(frozen=True)
class _Adapter:
    """Where an adapter lives.

    Args:
        module: of ours.
        factory: its class.
        package: that must be installed, or None when nothing is needed.
        library: shared library that must stand in a directory of the system beside it, or None.
        member: file inside the package that must be there, or None.
    """

    module: str
    factory: str
    package: str | None
    library: str | None = None
    member: str | None = None

    def found(self) -> bool:
        """Whether the engine is here, without importing it."""
        if self.package is not None:
            spec = find_spec(self.package)
            if spec is None:
                return False
            folders = spec.submodule_search_locations or ()
            if self.member is not None and not any((Path(folder) / self.member).exists() for folder in folders):
                return False
        return self.library is None or any((folder / self.library).exists() for folder in LIBRARY_FOLDERS)


LIBRARY_FOLDERS = tuple(
    Path(root) / name
    for root in ("/usr/local/lib", "/usr/lib", "/lib")
    for name in (f"{platform.machine()}-linux-gnu", "arm-linux-gnueabihf", "")
)
"""Where the dynamic linker of Debian and its kin looks for libraries."""

_ADAPTERS = {
    "onnxruntime": _Adapter("shoestring.runtimes.ort", "OrtRuntime", "onnxruntime"),
    "native": _Adapter("shoestring.runtimes.native", "NativeRuntime", None),
    "openvino": _Adapter("shoestring.runtimes.openvino_cpu", "OpenVinoRuntime", "openvino"),
    "litert": _Adapter("shoestring.runtimes.litert", "LiteRtRuntime", "ai_edge_litert"),
    "edgetpu": _Adapter("shoestring.runtimes.edge_tpu", "EdgeTpuRuntime", "ai_edge_litert", "libedgetpu.so.1"),
    "ncnn": _Adapter("shoestring.runtimes.ncnn_cpu", "NcnnRuntime", "ncnn"),
    "ncnn-vulkan": _Adapter("shoestring.runtimes.ncnn_cpu", "NcnnVulkanRuntime", "ncnn"),
    "tensorrt": _Adapter(
        "shoestring.runtimes.tensorrt",
        "TensorRtRuntime",
        "onnxruntime",
        member="capi/libonnxruntime_providers_tensorrt.so",
    ),
    "null": _Adapter("shoestring.runtimes.null", "NullRuntime", None),
}


def names() -> tuple[str, ...]:
    """Every runtime we have an adapter for, installed or not."""
    return tuple(_ADAPTERS)


def installed() -> tuple[str, ...]:
    """The runtimes whose engine is installed here, found without importing it."""
    return tuple(name for name, adapter in _ADAPTERS.items() if adapter.found())


def get(name: str) -> Runtime:
    """The runtime called `name`, whether its engine is installed or not.

    Raises:
        UsageError: there is none of that name.
    """
    adapter = _ADAPTERS.get(name)
    if adapter is None:
        raise UsageError(f"there is no runtime {name!r}", hint=f"known runtimes: {', '.join(names())}")
    return cast("Runtime", getattr(import_module(adapter.module), adapter.factory)())


__all__ = ["get", "installed", "names"]
