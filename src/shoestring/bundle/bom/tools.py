"""Libraries that took part: those of the workshop with their versions, and the runtimes that rungs need.

Licences are those that each project declares in the metadata of its package on PyPI (for CPython, its LICENSE file). A
name that is not in the table gets none: a licence that we do not know is left out, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.manifest import Manifest

_PLAIN_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True)
class Library:
    """What is known of a library for good.

    Args:
        package: its name on PyPI; None: it is not there.
        licence: SPDX identifier.
    """

    package: str | None
    licence: str


LIBRARIES = {
    "shoestring": Library(None, "Apache-2.0"),
    "python": Library(None, "Python-2.0.1"),
    "numpy": Library("numpy", "BSD-3-Clause"),
    "onnx": Library("onnx", "Apache-2.0"),
    "scipy": Library("scipy", "BSD-3-Clause"),
    "torch": Library("torch", "BSD-3-Clause"),
    "onnxruntime": Library("onnxruntime", "MIT"),
    "openvino": Library("openvino", "Apache-2.0"),
    "litert": Library("ai-edge-litert", "Apache-2.0"),
    "ncnn": Library("ncnn", "BSD-3-Clause"),
    "ncnn-vulkan": Library("ncnn", "BSD-3-Clause"),
    "llamacpp": Library("xllamacpp", "MIT"),
    "xllamacpp": Library("xllamacpp", "MIT"),
    "native": Library(None, "Apache-2.0"),
    "null": Library(None, "Apache-2.0"),
}
"""By the names that evidence and candidates use. `native` and `null` are this project's own."""


def runtime_ref(runtime: str, version: str) -> str:
    """What a runtime is called within the bill."""
    return f"runtime:{runtime}@{version}"


def workshop(evidence: Evidence) -> list[dict[str, Any]]:
    """Everything that evidence says took part, sorted by name."""
    return [
        {"type": "application" if name == "shoestring" else "library", **_named(name, version)}
        for name, version in sorted(evidence.versions.items())
    ]


def runtimes(manifest: Manifest) -> list[dict[str, Any]]:
    """The runtimes that rungs need, each once, sorted."""
    pairs = {(rung.candidate.runtime, rung.candidate.runtime_version) for rung in manifest.ladder.runnable}
    return [
        {"type": "library", "bom-ref": runtime_ref(name, version), "scope": "required", **_named(name, version)}
        for name, version in sorted(pairs)
    ]


def _named(name: str, version: str) -> dict[str, Any]:
    known = LIBRARIES.get(name)
    found: dict[str, Any] = {"name": name, "version": version}
    if known is None:
        return found
    found["licenses"] = [{"license": {"id": known.licence, "acknowledgement": "declared"}}]
    if known.package is not None and _PLAIN_VERSION.fullmatch(version):
        found["purl"] = f"pkg:pypi/{known.package}@{version}"
    return found
