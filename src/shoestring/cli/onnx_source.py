"""The ONNX model that a command works on, from a model file or a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def onnx_of(source: Path, rung: str | None, scratch: Path, weights: Path | None = None) -> Path:
    """The normalised ONNX of a model file or of a rung.

    Args:
        source: model or bundle.
        rung: of the bundle; None for its chosen one.
        scratch: a directory for what is read.
        weights: of a Darknet network; None takes the file beside it.

    Raises:
        UsageError: a rung of something that is no bundle, or one that holds no ONNX model.
        ModelError, BundleError: it cannot be read.
    """
    from shoestring.base import disk
    from shoestring.base.errors import UsageError
    from shoestring.bundle import is_bundle, open_bundle
    from shoestring.device.choose import choose_rung
    from shoestring.domain.ladder import HOME_RUNTIME
    from shoestring.importers import import_model

    target = scratch / "model.onnx"
    if not is_bundle(source):
        if rung is not None:
            raise UsageError(f"--rung {rung} needs a bundle, and {source} is none", hint="leave --rung out")
        return import_model(source, target, weights=weights).path
    with open_bundle(source) as bundle:
        ladder = bundle.manifest.ladder
        chosen = choose_rung(ladder, name=rung, threads=None, latency_ms=None)
        if chosen.candidate.runtime != HOME_RUNTIME:
            others = [one.name for one in ladder.rungs if one.candidate.runtime == HOME_RUNTIME]
            raise UsageError(
                f"rung {chosen.name} holds a file for the runtime {chosen.candidate.runtime}, no ONNX model",
                hint=f"add --rung {' or --rung '.join(others)}" if others else "give the model file itself",
            )
        disk.write_bytes(target, bundle.read(chosen.candidate.artefact_sha256))
        return target


__all__ = ["onnx_of"]
