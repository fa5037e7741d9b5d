"""Runtimes of models that write text, by name. They take token ids and a state, so they are no `Runtime` of tensors."""

from __future__ import annotations

from importlib.util import find_spec

LLAMACPP = "llamacpp"
_PACKAGES = {LLAMACPP: "xllamacpp"}


def installed() -> tuple[str, ...]:
    """Those whose engine is installed here, found without importing it."""
    return tuple(name for name, package in _PACKAGES.items() if find_spec(package) is not None)


__all__ = ["LLAMACPP", "installed"]
