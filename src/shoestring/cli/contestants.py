"""What `bench` measures: every rung of a bundle, or one model on one runtime after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shoestring.costmodel.measure import Measured


def contestants(
    target: Path, runtimes: Sequence[str], threads: int, scratch: Path, weights: Path | None = None
) -> tuple[list[Measured], str, tuple[str, ...]]:
    """What to measure, the name of the one whose time is 1, and what could not be made and why.

    Args:
        target: model file or bundle.
        runtimes: for a model; the first is the reference. A bundle's rungs name their own.
        threads: most that a program may use.
        scratch: a directory for the files.
        weights: of a Darknet network; None takes the file beside it.

    Raises:
        ModelError, BundleError: the target cannot be read.
        UsageError: runtimes asked for a bundle, or an unknown one.
        MissingExtraError, ChildError: one that was asked for, or its compiler, is missing.
    """
    from shoestring.base import disk
    from shoestring.base.errors import UsageError
    from shoestring.bundle import is_bundle, open_bundle
    from shoestring.costmodel.measure import Measured

    if not is_bundle(target):
        return _of_model(target, runtimes or ("onnxruntime",), threads, scratch, weights)
    if runtimes:
        raise UsageError(
            f"runtimes {', '.join(runtimes)} were asked for, and the rungs of {target} name their own",
            hint="leave --runtimes out, or give the model file",
        )
    found: list[Measured] = []
    with open_bundle(target) as bundle:
        for rung in bundle.manifest.ladder.rungs:
            path = scratch / f"{len(found)}.model"
            disk.write_bytes(path, bundle.read(rung.candidate.artefact_sha256))
            found.append(Measured(rung.name, path, rung.candidate.runtime, path.stat().st_size))
    return found, found[-1].name, ()


def _of_model(
    target: Path, runtimes: Sequence[str], threads: int, scratch: Path, weights: Path | None
) -> tuple[list[Measured], str, tuple[str, ...]]:
    from shoestring.base.errors import ModelError
    from shoestring.costmodel.measure import Measured
    from shoestring.importers import import_model
    from shoestring.runtimes import registry

    model = import_model(target, scratch / "model.onnx", weights=weights)
    found: list[Measured] = []
    failed: list[str] = []
    for runtime in dict.fromkeys(runtimes):
        registry.get(runtime).version()
        try:
            path = _file_for(runtime, model.path, target.name, threads, scratch)
        except ModelError as error:
            failed.append(f"{runtime}: {error.message}")
        else:
            name = target.name if len(runtimes) == 1 else f"{target.name}@{runtime}"
            size = target.stat().st_size if path == model.path else path.stat().st_size
            found.append(Measured(name, path, runtime, size))
    if not found:
        raise ModelError(f"{target} runs on none of {', '.join(runtimes)}: {'; '.join(failed)}")
    return found, found[0].name, tuple(failed)


def _file_for(runtime: str, model: Path, name: str, threads: int, scratch: Path) -> Path:
    """The model's file for a runtime. Raises ModelError: operators that cannot go; ChildError: no C compiler."""
    from shoestring.base import disk
    from shoestring.base.errors import UsageError
    from shoestring.chips.host import this_machine
    from shoestring.convert.registry import WRITERS, convert_for, is_quantized, writer
    from shoestring.native.compiling import compile_library
    from shoestring.native.deliver import program_name
    from shoestring.native.targets import host_target

    if runtime == "onnxruntime":
        return model
    if runtime == "native":
        machine = this_machine()
        out = scratch / "model.so"
        compile_library(model, program_name(name), host_target(machine.isa, machine.arch), threads, out)
        return out
    if runtime not in WRITERS:
        raise UsageError(
            f"bench does not measure the runtime {runtime!r}",
            hint=f"one or more of: onnxruntime, native, {', '.join(WRITERS)}",
        )
    out = scratch / f"{runtime}{writer(runtime).suffix}"
    disk.write_bytes(out, convert_for(runtime, model, "int8" if is_quantized(model) else "fp32").data)
    return out


__all__ = ["contestants"]
