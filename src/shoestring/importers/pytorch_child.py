"""The inside of the closed process: opens a PyTorch file, which may be hostile, and writes ONNX."""

from __future__ import annotations

import contextlib
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

from shoestring.base.errors import ModelError, UsageError

_MAX_NAMED = 4
_FROM_PYTHON = (
    "build the network in Python, load the weights into it, and give it to shoestring.import_module or "
    "shoestring.fit(model, example=...)"
)


def convert(request: dict[str, Any]) -> list[str]:
    """Open `source`, in a process that was shut in, and write ONNX to `target`.

    Args:
        request: see `pytorch.to_onnx`; `target` exists and is empty.

    Returns:
        What was done.

    Raises:
        ModelError, UsageError: as there.
    """
    source, target = Path(request["source"]), Path(request["target"])
    if not request["allow_pickle"]:
        sys.addaudithook(_refuse_pickles)
    warnings.simplefilter("ignore")
    import torch

    notes = _OPENERS[request["kind"]](request, source, target)
    return [*notes, f"opened by PyTorch {torch.__version__}"]


def _refuse_pickles(event: str, arguments: tuple[Any, ...]) -> None:
    """Python says so whenever a pickle names code (pickle.find_class); torch's own reader of tensors has no need to."""
    if event == "pickle.find_class":
        raise ModelError(
            f"the file holds a pickle that names {arguments[0]}.{arguments[1]}, and could run any code",
            hint="export a model whose weights and constants are plain tensors, or see --allow-pickle",
        )


def _exported(request: dict[str, Any], source: Path, target: Path) -> list[str]:
    import torch

    from shoestring.importers import pytorch_export

    if not request["allow_pickle"]:
        _only_tensors(torch)
    try:
        program = torch.export.load(source)
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        raise ModelError(
            f"PyTorch {torch.__version__} cannot load the exported program: {pytorch_export.reason(error)}",
            hint="export and save it again, with this version of torch or an older one",
        ) from error
    return pytorch_export.write(program, target)


def _only_tensors(torch: Any) -> None:
    """Let torch.load read tensors alone: torch.export.load would fall back to unpickling anything."""
    load = torch.load

    def load_tensors(*arguments: Any, **options: Any) -> Any:
        return load(*arguments, **{**options, "weights_only": True})

    torch.load = load_tensors


def _script(request: dict[str, Any], source: Path, target: Path) -> list[str]:
    import torch

    from shoestring.importers import pytorch_export

    try:
        module = torch.jit.load(str(source), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"PyTorch {torch.__version__} cannot load the TorchScript archive: {pytorch_export.reason(error)}",
            hint="save it again",
        ) from error
    names = [argument.name for argument in module.forward.schema.arguments[1:]]
    examples = _examples(request["shapes"], names)
    return pytorch_export.write_script(module, names, examples, target, batch_free=request["batch_free"])


def _pickle(request: dict[str, Any], source: Path, target: Path) -> list[str]:
    import torch

    from shoestring.importers import pytorch_export

    with contextlib.suppress(pickle.UnpicklingError, RuntimeError, EOFError):
        raise _no_graph(torch.load(source, map_location="cpu", weights_only=True))
    try:
        found = torch.load(source, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError, PermissionError) as error:
        raise ModelError(
            f"the pickle needs code that is not installed or may not be read: {error}", hint=_FROM_PYTHON
        ) from error
    except (RuntimeError, ValueError, TypeError, LookupError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise ModelError(f"the pickle cannot be opened: {pytorch_export.reason(error)}", hint=_FROM_PYTHON) from error
    if not isinstance(found, torch.nn.Module):
        raise _no_graph(found)
    module = found.eval().float()
    names = pytorch_export.input_names(module)
    examples = _examples(request["shapes"], names[: max(1, len(request["shapes"]))])
    program, notes = pytorch_export.capture(module, examples, batch_free=request["batch_free"])
    return [*notes, *pytorch_export.write(program, target)]


def _no_graph(found: Any) -> ModelError:
    """What a file holds that is no network."""
    import torch

    if isinstance(found, dict):
        tensors = [str(key) for key, value in found.items() if isinstance(value, torch.Tensor)]
        keys = tensors or [str(key) for key in found]
        named = ", ".join(keys[:_MAX_NAMED]) + (", ..." if len(keys) > _MAX_NAMED else "")
        what = f"{len(tensors)} tensors ({named})" if tensors else f"a dictionary of {named}"
        return ModelError(f"the file holds {what}: weights without the network they belong to", hint=_FROM_PYTHON)
    return ModelError(f"the file holds a {type(found).__name__}, and no network", hint=_FROM_PYTHON)


def _examples(shapes: dict[str, list[int | None]], names: list[str]) -> tuple[Any, ...]:
    """Example inputs: numbers between 0 and 1, always the same; one example where the batch is left open."""
    import torch

    missing = [name for name in names if name not in shapes]
    if missing or set(shapes) - set(names):
        asked = " ".join(f"--shape {name}=Nx3x224x224" for name in missing or names)
        raise UsageError(
            f"the file does not say how large its inputs are ({', '.join(names)}), and shapes were given for "
            f"{', '.join(sorted(shapes)) or 'none'}",
            hint=f"give the shape of each, like {asked}",
        )
    torch.manual_seed(0)
    return tuple(torch.rand([1 if size is None else size for size in shapes[name]]) for name in names)


_OPENERS = {"exported": _exported, "script": _script, "pickle": _pickle}
