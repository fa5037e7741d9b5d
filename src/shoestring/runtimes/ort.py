"""ONNX Runtime (https://onnxruntime.ai) on the CPU."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineError, MissingExtraError
from shoestring.domain.model import TensorSpec
from shoestring.runtimes.checks import check_threads, model_bytes, model_name, one_line
from shoestring.runtimes.session import CheckedSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.runtimes.protocol import Array

NUMPY_NAMES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""ONNX Runtime's names of the element types that numpy has too."""

_SEVERITY_FATAL = 4  # its log goes to stderr; what it would say there is in the exception that we turn into EngineError
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Builds for Linux since 1.32 collect usage and send it, unless this is set before they are loaded."""

_NO_DIRECTORY = "/dev/null"  # no file can lie below it, so weights outside the model can never be found
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


class OrtRuntime:
    """ONNX Runtime with all graph optimisations, one operator at a time, `threads` threads inside an operator.

    Its pool threads stop spinning when a run ends. By default they spin on for some 10 ms, waiting for the next run:
    heat on a board that sees a picture every 100 ms, and a core taken from whoever runs next. On two cores a network of
    0.13 ms took 0.22 ms beside an idle session that still spun, and 0.15 ms, alone or not, with spinning stopped; one
    of 1.24 ms took 1.27 ms. Threads still spin within a run, where it matters: without that it took 1.38 ms.
    """

    name = "onnxruntime"

    def version(self) -> str:
        """Of the engine. Raises MissingExtraError when it is not installed."""
        return str(engine_module().__version__)

    def load(self, model: Path | bytes, threads: int) -> OrtSession:
        """Load a self-contained ONNX model; weights kept in other files are refused, not looked for.

        Args:
            model: file or bytes.
            threads: inside one operator, at least 1.

        Raises:
            UsageError: `threads` is below 1.
            MissingExtraError: ONNX Runtime is not installed.
            EngineError: it refuses the model, or an input or output is not a tensor of numbers.
        """
        check_threads(threads)
        engine = engine_module()
        options = session_options(engine, threads)
        data = model_bytes(model)
        if not data:
            raise EngineError(f"ONNX Runtime refuses {model_name(model)}: it is empty")
        try:
            session = engine.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except engine_errors() as error:
            raise EngineError(f"ONNX Runtime refuses {model_name(model)}: {reason(error)}") from error
        return OrtSession(engine, session)


class OrtSession(CheckedSession):
    """A model loaded by ONNX Runtime.

    Args:
        engine: the onnxruntime module.
        session: its InferenceSession.
    """

    def __init__(self, engine: Any, session: Any) -> None:
        super().__init__(tuple(map(_spec, session.get_inputs())), tuple(map(_spec, session.get_outputs())))
        self._session = session
        self._options = engine.RunOptions()
        self._options.log_severity_level = _SEVERITY_FATAL
        self._names = [spec.name for spec in self.outputs]

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            answers = self._session.run(self._names, dict(feeds), self._options)
        except engine_errors() as error:
            raise EngineError(f"ONNX Runtime failed to run the model: {reason(error)}") from error
        return dict(zip(self._names, answers, strict=True))

    def _free(self) -> None:
        self._session = None
        self._options = None


def engine_module() -> Any:
    """The onnxruntime module with its telemetry off: nothing is ever sent anywhere. Raises MissingExtraError."""
    os.environ[NO_TELEMETRY] = "1"  # read when the module is loaded; its own call for it comes too late
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "ort") from error
    return onnxruntime


def session_options(engine: Any, threads: int) -> Any:
    """SessionOptions that every session of ours has."""
    options = engine.SessionOptions()
    options.graph_optimization_level = engine.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = engine.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SEVERITY_FATAL
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_DIRECTORY)
    return options


def engine_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its own classes, which share no base, and those its C++ exceptions are mapped to."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, MemoryError)


def reason(error: Exception) -> str:
    """Its message without ONNX Runtime's own codes."""
    return one_line(_PREFIX.sub("", str(error)) or error)


def _spec(argument: Any) -> TensorSpec:
    dtype = NUMPY_NAMES.get(argument.type)
    if dtype is None:
        raise EngineError(
            f"{argument.name!r} is a {argument.type}; only tensors of numbers are handled",
            hint="remove the operator that makes it (ZipMap, for instance) when exporting the model",
        )
    shape = tuple(length if isinstance(length, int) and length >= 0 else None for length in argument.shape)
    return TensorSpec(name=str(argument.name), dtype=dtype, shape=shape)


__all__ = ["OrtRuntime", "OrtSession"]
