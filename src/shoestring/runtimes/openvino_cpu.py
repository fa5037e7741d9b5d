"""OpenVINO (https://docs.openvino.ai) on the CPU, fed with our ONNX bytes as they are."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import EngineError, MissingExtraError
from shoestring.domain.model import TensorSpec
from shoestring.runtimes.checks import check_threads, model_bytes, model_name, one_line
from shoestring.runtimes.onnx_bytes import OnnxFacts, read_facts
from shoestring.runtimes.session import CheckedSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from shoestring.runtimes.protocol import Array

SENDS = ("openvino.tools.ovc", "openvino_telemetry")
"""What `import openvino` would load beside the engine: its converter, whose import alone writes a number for this
machine into the home directory and sends an event. The engine does without both and loads in a third of the time."""

NUMPY_NAMES = {
    "boolean": "bool",
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"{short}{bits}": f"{kind}{bits}" for short, kind in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)},
}
"""OpenVINO's names of the element types that numpy has too."""

QUANTIZED = "FakeQuantize"
"""The operator that a QuantizeLinear of ONNX becomes."""

_AT_HWCAP, _HWCAP_ASIMDDP = 16, 1 << 20  # Linux: include/uapi/linux/auxvec.h, arch/arm64/include/uapi/asm/hwcap.h
_WHERE = re.compile(r"(Exception from |Check '.*' failed at )?src/\S+:\d+:?|FrontEnd API failed with \w+:")


class OpenVinoRuntime:
    """OpenVINO's CPU plugin: 32-bit floats stay 32-bit floats, one stream, `threads` threads, the latency hint.

    Nothing is cached on disk, and threads are not bound to cores: bound ones would meet those of whoever runs next on
    the same cores. Its pool threads (oneTBB) sleep when a run ends and stay for the next session. Over half a second
    after 50 runs of a network of 3 ms on two threads, the process used less than 1 ms of the processor.
    """

    name = "openvino"

    def version(self) -> str:
        """Of the engine, with its build. Raises MissingExtraError when it is not installed."""
        return str(engine_module().__version__)

    def load(self, model: Path | bytes, threads: int) -> OpenVinoSession:
        """Load a self-contained ONNX model; one that keeps weights in other files is refused.

        Args:
            model: ONNX, in 32-bit floats or quantized (QuantizeLinear and DequantizeLinear); file or bytes.
            threads: at least 1.

        Raises:
            UsageError: `threads` is below 1.
            MissingExtraError: OpenVINO is not installed.
            EngineError: it refuses the model, or an input or output is not a tensor of numbers.
        """
        check_threads(threads)
        engine = engine_module()
        data, name = model_bytes(model), model_name(model)
        try:
            facts = read_facts(data)
        except EngineError as error:
            raise EngineError(f"OpenVINO refuses {name}: {error.message}") from error
        if facts.external:
            raise EngineError(
                f"OpenVINO refuses {name}: the values of {facts.external[0]!r} lie in another file, which is not read",
                hint="save the model as one file",
            )
        try:
            graph = _convert(engine, data)
            _check_inputs(graph, facts, name)
            _check_quantized(graph, name)
            compile_graph = functools.partial(_core(engine).compile_model, device_name="CPU", config=settings(threads))
            return OpenVinoSession(graph, facts, compile_graph)
        except engine_errors() as error:
            raise EngineError(f"OpenVINO refuses {name}: {reason(error)}") from error


class OpenVinoSession(CheckedSession):
    """A model compiled by OpenVINO, for one example at a time; for other batches once there is one.

    With a free batch OpenVINO works out shapes and buffers anew in every run. Small networks took twice as long as when
    compiled for one example, which is what a device sees; answers were the same. What OpenVINO compiles from shares its
    weights with what it has compiled, so keeping it takes no memory.

    Args:
        graph: OpenVINO's form of the model.
        facts: names of the model's inputs and outputs, in the model's order.
        compile_graph: makes a CompiledModel of such a form.
    """

    def __init__(self, graph: Any, facts: OnnxFacts, compile_graph: Callable[[Any], Any]) -> None:
        inputs, outputs = _ports(graph.inputs, facts.inputs), _ports(graph.outputs, facts.outputs)
        super().__init__(
            tuple(_spec(name, port) for name, _, port in inputs), tuple(_spec(name, port) for name, _, port in outputs)
        )
        self._graph = graph
        self._compile = compile_graph
        self._places = {name: place for name, place, _ in inputs}
        self._outputs = [(name, place) for name, place, _ in outputs]
        self._request: Any = None  # for any shapes
        self._single: Any = None  # for one example
        if _has_free_batch(self.inputs):
            single = graph.clone()
            single.reshape(
                {self._places[spec.name]: [1, *spec.shape[1:]] for spec in self.inputs if None in spec.shape}
            )
            self._single = compile_graph(single).create_infer_request()
        else:
            self._request = compile_graph(graph).create_infer_request()

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        # Only what is laid out in C order is handed over without a copy.
        given = {place: np.asarray(feeds[name], order="C") for name, place in self._places.items()}
        try:
            answers = self._request_for(feeds).infer(given, share_inputs=True, share_outputs=False)
        except engine_errors() as error:
            raise EngineError(f"OpenVINO failed to run the model: {reason(error)}") from error
        return {name: answers[place] for name, place in self._outputs}

    def _request_for(self, feeds: Mapping[str, Array]) -> Any:
        if self._single is not None and all(
            feeds[spec.name].shape[0] == 1 for spec in self.inputs if None in spec.shape
        ):
            return self._single
        if self._request is None:
            self._request = self._compile(self._graph).create_infer_request()
        return self._request

    def _free(self) -> None:
        self._request = self._single = self._graph = None


def engine_module() -> Any:
    """The openvino module, without the parts that report to its maker. Raises MissingExtraError."""
    with _barred(SENDS if "openvino" not in sys.modules else ()):
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("openvino", "openvino") from error
    return openvino


def settings(threads: int) -> dict[str, Any]:
    """Properties that every model of ours is compiled with.

    Source: https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
    """
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "ENABLE_HYPER_THREADING": True,  # else fewer threads than asked for, where cores have two
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # activations of float layers stay floats
    }


def engine_errors() -> tuple[type[Exception], ...]:
    """What OpenVINO raises: its own classes, which share no base, and those its C++ and Python layers map others to."""
    from openvino import _pyopenvino as bindings

    own = [kind for kind in vars(bindings).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, TypeError, KeyError, MemoryError)


def reason(error: Exception) -> str:
    """Its message without the places in OpenVINO's own sources."""
    return one_line(_WHERE.sub("", str(error)) or error)


def has_dot_product() -> bool:
    """Whether this processor multiplies 8-bit integers in a way that OpenVINO has code for.

    On x86 it always has. On 64-bit Arm it needs FEAT_DotProd, which Cortex-A53, A57, A72 and A73 lack: there the
    compilation of a quantized model fails.
    """
    if platform.machine() != "aarch64":
        return True
    library = ctypes.CDLL(None)
    library.getauxval.restype = ctypes.c_ulong
    library.getauxval.argtypes = (ctypes.c_ulong,)
    return bool(library.getauxval(_AT_HWCAP) & _HWCAP_ASIMDDP)


def _check_inputs(graph: Any, facts: OnnxFacts, name: str) -> None:
    kept = {one for port in graph.inputs for one in port.get_names()}
    unused = [one for one in facts.inputs if one not in kept]
    if unused:
        raise EngineError(
            f"OpenVINO refuses {name}: its input {unused[0]!r} is used by no operator, and would be dropped",
            hint="remove the input from the model",
        )


def _check_quantized(graph: Any, name: str) -> None:
    if has_dot_product() or all(op.get_type_name() != QUANTIZED for op in graph.get_ops()):
        return
    raise EngineError(
        f"OpenVINO refuses {name}: it is quantized, and this processor lacks the dot product of 8-bit integers "
        "(asimddp) that OpenVINO's 8-bit code for Arm needs",
        hint="use the model in 32-bit floats here, or another runtime",
    )


def _convert(engine: Any, data: bytes) -> Any:
    """OpenVINO's form of an ONNX model. Its ONNX reader is named, since `Core.read_model` would try all formats."""
    reader = engine.frontend.FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(io.BytesIO(data)))


@functools.cache
def _core(engine: Any) -> Any:
    """One for the process: it holds the plugin's library, not models."""
    core = engine.Core()
    core.set_property({"ENABLE_MMAP": False, "CACHE_DIR": ""})
    return core


@contextlib.contextmanager
def _barred(modules: tuple[str, ...]) -> Iterator[None]:
    """While the block runs, importing one of these that is not loaded yet fails as if it were not installed."""
    barred = [name for name in modules if name not in sys.modules]
    for name in barred:
        sys.modules[name] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        yield
    finally:
        for name in barred:
            del sys.modules[name]


def _ports(ports: Any, names: list[str]) -> list[tuple[str, int, Any]]:
    """Name, place and port of each end, by the names that the model gives them and in the model's order."""
    listed = list(enumerate(ports))
    found = [(name, place, port) for name in names for place, port in listed if name in port.get_names()]
    if len({name for name, _, _ in found}) < len(listed):
        raise EngineError("OpenVINO names the model's inputs or outputs otherwise than the model does")
    return found


def _has_free_batch(inputs: tuple[TensorSpec, ...]) -> bool:
    """Whether the first dimension of some inputs is free, and no other dimension is."""
    return any(None in spec.shape for spec in inputs) and not any(None in spec.shape[1:] for spec in inputs)


def _spec(name: str, port: Any) -> TensorSpec:
    shape = tuple(None if length.is_dynamic else length.get_length() for length in port.get_partial_shape())
    kind = port.get_element_type().get_type_name()
    if kind not in NUMPY_NAMES:
        raise EngineError(f"{name!r} holds elements of type {kind}; only those that numpy has are handled")
    return TensorSpec(name=name, dtype=NUMPY_NAMES[kind], shape=shape)


__all__ = ["OpenVinoRuntime", "OpenVinoSession", "engine_module", "has_dot_product", "settings"]
