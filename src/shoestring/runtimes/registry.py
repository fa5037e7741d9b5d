"""Runtimes by name. Naming one imports its adapter; the engine behind it is imported when it is used."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
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
    """

    module: str
    factory: str
    package: str | None


_ADAPTERS = {
    "onnxruntime": _Adapter("shoestring.runtimes.ort", "OrtRuntime", "onnxruntime"),
    "native": _Adapter("shoestring.runtimes.native", "NativeRuntime", None),
    "openvino": _Adapter("shoestring.runtimes.openvino_cpu", "OpenVinoRuntime", "openvino"),
    "ncnn": _Adapter("shoestring.runtimes.ncnn_cpu", "NcnnRuntime", "ncnn"),
    "ncnn-vulkan": _Adapter("shoestring.runtimes.ncnn_cpu", "NcnnVulkanRuntime", "ncnn"),
    "null": _Adapter("shoestring.runtimes.null", "NullRuntime", None),
}


def names() -> tuple[str, ...]:
    """Every runtime we have an adapter for, installed or not."""
    return tuple(_ADAPTERS)


def installed() -> tuple[str, ...]:
    """The runtimes whose engine is installed here, found without importing it."""
    return tuple(
        name for name, adapter in _ADAPTERS.items() if adapter.package is None or find_spec(adapter.package) is not None
    )


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
