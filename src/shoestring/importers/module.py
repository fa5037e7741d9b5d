"""A PyTorch module as it stands in the user's own process: it is the user's own code, so nothing is closed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base import disk
from shoestring.base.errors import ModelError, UsageError
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.domain.model import Model
from shoestring.importers.importing import import_model
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

LARGEST_DIFFERENCE = 1e-3  # of the largest output; float32 sums in another order differ by 1e-5 in deep networks
_EXAMPLE_HINT = "give one example as it comes to the module, like torch.rand(1, 3, 224, 224)"


def import_module(
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor],
    target: Path | str,
    *,
    batch_free: bool = True,
) -> Model:
    """Write a PyTorch module as ONNX, normalised as `import_model` does it, and compare the two on the example.

    Args:
        module: in evaluation mode, on the CPU; or a torch.export.ExportedProgram, which keeps its own shapes.
        example_inputs: the tensor that `forward` takes, or all of them in their order; batch first.
        target: where the file goes; its directory exists.
        batch_free: leave the batch free where the module allows it; `notes` say when it does not.

    Returns:
        The model; `source_name` is the module's class.

    Raises:
        UsageError: no module, no example, one that does not fit, or a module in training mode.
        ModelError: it cannot be captured or translated, or ONNX Runtime answers otherwise than PyTorch.
        StorageError: `target` cannot be written.
        MissingExtraError: torch, onnxscript or onnxruntime is not installed.
    """
    from shoestring.importers import pytorch_export

    target = Path(target)
    examples = _examples(example_inputs)
    expected = _answers(module, examples)
    program, notes = _captured(module, examples, batch_free)
    with disk.storage_errors(target):
        scratch = tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent)
    with scratch as directory:
        exported, normalised = Path(directory) / "module.onnx", Path(directory) / "model.onnx"
        notes += pytorch_export.write(program, exported)
        made = import_model(exported, normalised, batch_free=batch_free)
        notes.append(_compare(expected, examples, made))
        disk.write_bytes(target, normalised.read_bytes())
    name = type(module).__name__
    return replace(made, path=target, source_name=name, notes=(*notes, *made.notes))


def is_module(model: object) -> bool:
    """Whether this is an object of PyTorch rather than a path; torch is not imported to find out."""
    return not isinstance(model, str | Path)


def _examples(given: Any) -> tuple[Any, ...]:
    import torch

    if given is None:
        raise UsageError("a PyTorch module needs an example of its input to be exported", hint=_EXAMPLE_HINT)
    examples = (given,) if isinstance(given, torch.Tensor) else tuple(given) if isinstance(given, list | tuple) else ()
    if not examples or not all(isinstance(example, torch.Tensor) for example in examples):
        raise UsageError(
            f"the example is a {type(given).__name__}, expected a tensor, or a tuple of tensors", hint=_EXAMPLE_HINT
        )
    return examples


def _answers(module: Any, examples: tuple[Any, ...]) -> list[Any]:
    """What PyTorch itself answers to the example: numpy arrays, in the order of the outputs."""
    import torch

    from shoestring.importers import pytorch_export

    is_program = isinstance(module, torch.export.ExportedProgram)
    if not (is_program or isinstance(module, torch.nn.Module)):
        raise UsageError(
            f"expected a torch.nn.Module, got a {type(module).__name__}", hint="give a path as text or Path"
        )
    if not is_program:
        _check_mode(module)
    try:
        with torch.no_grad():
            answered = (module.module() if is_program else module)(*examples)
    except pytorch_export.MODULE_ERRORS as error:
        shapes = ", ".join(str(tuple(example.shape)) for example in examples)
        raise UsageError(
            f"the module does not take the example ({shapes}): {pytorch_export.reason(error)}", hint=_EXAMPLE_HINT
        ) from error
    leaves = torch.utils._pytree.tree_leaves(answered)
    return [leaf.detach().cpu().numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _check_mode(module: Any) -> None:
    training = [name or type(module).__name__ for name, part in module.named_modules() if part.training]
    if training:
        raise UsageError(
            f"the module is in training mode ({training[0]}, {len(training)} parts), in which batch norms and dropout "
            "answer otherwise",
            hint="call module.eval() first",
        )


def _captured(module: Any, examples: tuple[Any, ...], batch_free: bool) -> tuple[Any, list[str]]:
    import torch

    from shoestring.importers import pytorch_export

    if isinstance(module, torch.export.ExportedProgram):
        return module, []
    return pytorch_export.capture(module, examples, batch_free=batch_free)


def _compare(expected: list[Any], examples: tuple[Any, ...], made: Model) -> str:
    """Run the exported model on the example; what is to be said of it."""
    fed = {spec.name: example.detach().cpu().numpy() for spec, example in zip(made.inputs, examples, strict=False)}
    if len(fed) != len(made.inputs):
        raise ModelError(
            f"the exported model takes {len(made.inputs)} inputs, and the example has {len(examples)}",
            hint="leave out arguments that the result does not depend on",
        )
    with registry.get(HOME_RUNTIME).load(made.path, 1) as session:
        answers = session.run(fed)
    found = [answers[spec.name] for spec in made.outputs]
    ours, theirs = ([one.shape for one in arrays] for arrays in (found, expected))
    if ours != theirs:
        raise ModelError(
            f"the exported model answers shapes {ours}, PyTorch {theirs}",
            hint="report it with the module",
        )
    largest = max(_difference(*pair) for pair in zip(found, expected, strict=True))
    if not largest <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"on the example, ONNX Runtime and PyTorch differ by {largest:.2g} of the largest output, more than "
            f"{LARGEST_DIFFERENCE:g}",
            hint="a module that draws random numbers cannot be compared; otherwise report it with the module",
        )
    return f"on the example, ONNX Runtime and PyTorch differ by {largest:.1g} of the largest output"


def _difference(ours: Any, theirs: Any) -> float:
    """Largest difference over the largest magnitude; infinite where one of the two is not finite."""
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0)) / scale
