"""From PyTorch's objects to ONNX: the user's own module in his own process, or what a closed process opened."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.base.errors import MissingExtraError, ModelError

try:
    import onnxscript  # noqa: F401 - torch.onnx needs it, and says so too late
    import torch
except ImportError as error:
    raise MissingExtraError(error.name or "torch", "torch") from error

# What running a module of unknown make may raise; torch's own errors are RuntimeErrors.
MODULE_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)
_SCRIPT_OPSET = 17
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REASON_CHARACTERS = 300
_DYNAMIC = (
    "write the step without Python branches or loops over values of tensors (torch.where, torch.cond), or export the "
    "part of the module before it"
)


def capture(module: Any, examples: tuple[Any, ...], *, batch_free: bool) -> tuple[Any, list[str]]:
    """The module as an exported program.

    torch.export takes a dimension of 1 for a constant, so that a free batch is looked for with two examples.

    Args:
        module: in evaluation mode.
        examples: tensors that it takes, batch first.
        batch_free: whether the batch is to be left free where the module allows it.

    Returns:
        The program, and what is to be said of its batch.

    Raises:
        ModelError: the module cannot be captured: control flow that depends on values, or an error of its own.
    """
    if batch_free:
        single = all(len(example.shape) > 0 and example.shape[0] == 1 for example in examples)
        several = tuple(torch.cat([example, example]) for example in examples) if single else examples
        free = tuple({0: torch.export.Dim.AUTO} if len(example.shape) > 0 else None for example in several)
        with contextlib.suppress(*MODULE_ERRORS):
            program = _export(module, several, free)
            if _batch_is_free(program):
                return program, []
    try:
        program = _export(module, examples, None)
    except MODULE_ERRORS as error:
        raise ModelError(f"torch.export cannot capture the module: {reason(error)}", hint=_DYNAMIC) from error
    sizes = sorted({int(example.shape[0]) for example in examples if len(example.shape) > 0})
    said = f"the module fixes its batch to {', '.join(map(str, sizes))}, as in the example"
    return program, [said] if batch_free else []


def write(program: Any, target: Path) -> list[str]:
    """Write an exported program as ONNX.

    Raises:
        ModelError: an operator that has no translation, by name, or a model larger than protobuf can hold.
    """
    try:
        with _quiet():
            made = torch.onnx.export(program, (), dynamo=True, verbose=False)
        proto = made.model_proto
        for item in (proto, proto.graph, *proto.graph.node, *proto.functions):
            del item.metadata_props[:]  # lines of the user's sources, which are not the model's
        data = proto.SerializeToString(deterministic=True)
    except MODULE_ERRORS as error:
        raise ModelError(
            f"torch.onnx cannot translate the program: {reason(error)}",
            hint="replace the operator by others in the module, and export it again",
        ) from error
    disk.fill(target, data)
    return ["exported to ONNX by torch.onnx from an exported program"]


def write_script(
    module: Any, names: list[str], examples: tuple[Any, ...], target: Path, *, batch_free: bool
) -> list[str]:
    """Write a TorchScript module as ONNX, by the older exporter, which is the one that takes them.

    Raises:
        ModelError: it has no translation.
    """
    axes = {name: {0: "batch"} for name in names} if batch_free else None
    made = io.BytesIO()
    try:
        with _quiet():
            torch.onnx.export(
                module, examples, made, dynamo=False, input_names=names, dynamic_axes=axes, opset_version=_SCRIPT_OPSET
            )
    except MODULE_ERRORS as error:
        raise ModelError(
            f"torch.onnx cannot translate the TorchScript module: {reason(error)}",
            hint="export the module that it was made from with torch.export",
        ) from error
    disk.fill(target, made.getvalue())
    return ["exported to ONNX by torch.onnx from TorchScript"]


def input_names(module: Any) -> list[str]:
    """Names of the positional arguments of `forward`."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in inspect.signature(module.forward).parameters.values() if one.kind in kinds]


def reason(error: BaseException) -> str:
    """The first line of the error at the bottom, without colours: torch wraps its errors in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:_REASON_CHARACTERS] if lines else 'without words'}"


def _export(module: Any, examples: tuple[Any, ...], dynamic: Any) -> Any:
    with _quiet(), torch.no_grad():
        return torch.export.export(module, examples, dynamic_shapes=dynamic, strict=False)


def _batch_is_free(program: Any) -> bool:
    """Whether the first dimension of every input of the user's is a symbol."""
    wanted = set(program.graph_signature.user_inputs)
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in wanted and "val" in node.meta]
    return bool(shapes) and all(len(shape) > 0 and not isinstance(shape[0], int) for shape in shapes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's progress on stdout, which is for our data, and its log to those who write exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        unheard = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(unheard), contextlib.redirect_stderr(unheard):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
