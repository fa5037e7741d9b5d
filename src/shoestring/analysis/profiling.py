"""The caller's side of a profile: a child process reads the graph, since it may not be ours."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from shoestring.base import canonical
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildCrashedError, ChildTimeoutError, ModelError, UsageError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS
from shoestring.base.units import format_bytes
from shoestring.domain.model import Profile

_CHILD = "shoestring.analysis.onnx_child:profile"
_MAX_BATCH = 65_536
# numpy's threads reserve address space for each core, which the memory limit counts.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def profile(model_path: Path, *, batch: int = 1) -> Profile:
    """What one inference takes, from the graph alone.

    Every node is a layer, in execution order; nodes of subgraphs follow their owner and are named `owner/body/node`.
    Each subgraph is counted once: for If that is both branches, hence an upper bound; for Loop and Scan one iteration.

    MACs are those of Conv, ConvTranspose, Gemm, MatMul, Einsum, LSTM, GRU, RNN and of the integer forms of the first
    three; everything else, Attention included, counts none. Bytes are those of an engine without fusion between layers,
    with three exceptions: views (Reshape and its like) move nothing; a DequantizeLinear is part of its readers, which
    read the integers; a QuantizeLinear is part of the layer that alone feeds it, which writes the integers. Weights
    behind nodes that depend on weights alone (DequantizeLinear, Cast) belong to the layer that reads the result, at
    their stored size, and to the first such layer when several share them.

    Args:
        model_path: a self-contained ONNX file, as `importers` writes it; weights in external data are not opened.
        batch: for inputs whose first dimension is free, in 1..65536.

    Returns:
        The profile.

    Raises:
        ModelError: not an ONNX model, a free dimension other than the first, or a layer with MACs of unknown shape.
        UsageError: `batch` is out of range.
        MissingExtraError: onnx is not installed.
    """
    if not 1 <= batch <= _MAX_BATCH:
        raise UsageError(f"batch {batch} is outside 1..{_MAX_BATCH}")
    return canonical.convert(ask_child(_CHILD, Path(model_path), {"batch": batch}), Profile, ModelError)


def ask_child(target: str, path: Path, request: dict[str, Any]) -> Any:
    """What a function of the child says of a file. Raises ModelError when there is none, or the child dies of it."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}", hint="check the path")
    limits = ChildLimits(IMPORT_SECONDS, IMPORT_MEMORY_BYTES)
    try:
        return run_in_child(target, {"path": str(path.absolute()), **request}, limits, env=_ONE_THREAD)
    except (ChildTimeoutError, ChildCrashedError) as error:
        raise ModelError(
            f"the process that profiled {path} failed (limits: {IMPORT_SECONDS:g} s, "
            f"{format_bytes(IMPORT_MEMORY_BYTES)} of memory): {error.message}",
            hint="the file is damaged, hostile or too large",
        ) from error


def operators(profile: Profile) -> tuple[tuple[str, int], ...]:
    """How many layers of each operator, the most frequent first."""
    counts = Counter(layer.operator for layer in profile.layers)
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
