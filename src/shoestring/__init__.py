"""Shoestring: the best model a cheap chip can run, proven, governed and signed.

    import shoestring as ss

    fitted = ss.fit("model.onnx", data="photos/", budget=ss.Budget(max_drop=0.01), out="camera.shoe")
    print(fitted.ladder.chosen)

Names are loaded on first use, so that `import shoestring` stays light on a device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from shoestring._version import __version__

if TYPE_CHECKING:
    from shoestring.base.errors import ShoestringError
    from shoestring.bundle import Bundle, open_bundle
    from shoestring.bundle.delta import make_delta
    from shoestring.bundle.patching import apply_delta
    from shoestring.bundle.signing import check_signatures, sign_bundle
    from shoestring.device import Player
    from shoestring.domain.budget import Budget
    from shoestring.domain.preprocess import Preprocess
    from shoestring.fitting import Fitted, fit
    from shoestring.importers import import_model, import_module
    from shoestring.training.distill import Distilled, distill
    from shoestring.trust.key_files import load_private_key
    from shoestring.trust.policy import load_policy

_HOMES = {
    "Budget": "shoestring.domain.budget",
    "Bundle": "shoestring.bundle",
    "Distilled": "shoestring.training.distill",
    "Fitted": "shoestring.fitting",
    "Player": "shoestring.device",
    "Preprocess": "shoestring.domain.preprocess",
    "ShoestringError": "shoestring.base.errors",
    "apply_delta": "shoestring.bundle.patching",
    "check_signatures": "shoestring.bundle.signing",
    "distill": "shoestring.training.distill",
    "fit": "shoestring.fitting",
    "import_model": "shoestring.importers",
    "import_module": "shoestring.importers",
    "load_policy": "shoestring.trust.policy",
    "load_private_key": "shoestring.trust.key_files",
    "make_delta": "shoestring.bundle.delta",
    "open_bundle": "shoestring.bundle",
    "sign_bundle": "shoestring.bundle.signing",
}

__all__ = [
    "Budget",
    "Bundle",
    "Distilled",
    "Fitted",
    "Player",
    "Preprocess",
    "ShoestringError",
    "__version__",
    "apply_delta",
    "check_signatures",
    "distill",
    "fit",
    "import_model",
    "import_module",
    "load_policy",
    "load_private_key",
    "make_delta",
    "open_bundle",
    "sign_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'shoestring' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
