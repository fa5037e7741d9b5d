"""ncnn (https://github.com/Tencent/ncnn) on the CPU, or on a GPU by Vulkan."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import EngineError, MissingExtraError
from shoestring.runtimes.checks import check_threads, model_bytes, model_name, one_line
from shoestring.runtimes.ncnn_check import check
from shoestring.runtimes.ncnn_file import NcnnFile, Port, unpack
from shoestring.runtimes.session import CheckedSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.runtimes.protocol import Array

MOST_EXACT = 1 << 24  # of the integers that float32 holds exactly
_HALF_OPTIONS = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")
_LOADER = "libvulkan.so.1"
_OFF = ("use_bf16_packed", "use_bf16_storage")
_ENGINE_ERRORS = (RuntimeError, ValueError, TypeError, MemoryError)  # what its Python binding raises


class NcnnRuntime:
    """ncnn on `threads` threads, in the precision that the file names and no other.

    ncnn by itself computes in 16 bits wherever a processor can, whatever the weights are; a certificate could not say
    what it was checked on. So 16-bit storage and arithmetic are on for files of `fp16` only, bfloat16 never.
    """

    name = "ncnn"
    _vulkan = False

    def version(self) -> str:
        """Of the engine. Raises MissingExtraError when it is not installed."""
        return str(engine_module().__version__)

    def load(self, model: Path | bytes, threads: int) -> NcnnSession:
        """Load a file that `shoestring.convert.ncnn` made. It is checked to the last byte before ncnn sees it.

        Args:
            model: file or bytes.
            threads: inside one operator, at least 1.

        Raises:
            UsageError: `threads` is below 1.
            MissingExtraError: ncnn is not installed.
            EngineError: not such a file, a network that could not run, or no GPU for Vulkan.
        """
        check_threads(threads)
        engine = engine_module()
        data, called = model_bytes(model), model_name(model)
        try:
            network = unpack(data, called)
            dims = check(network)
        except EngineError as error:
            raise EngineError(f"ncnn refuses {called}: {error.message}", hint=error.hint) from None
        if self._vulkan:
            _check_gpu(engine, network, called)
        return NcnnSession(engine, _net(engine, network, called, threads, vulkan=self._vulkan), network, dims)


class NcnnVulkanRuntime(NcnnRuntime):
    """ncnn on the first GPU that Vulkan finds; layers without a GPU form run on the CPU."""

    name = "ncnn-vulkan"
    _vulkan = True


class NcnnSession(CheckedSession):
    """A network loaded by ncnn.

    Args:
        engine: the ncnn module.
        net: its Net, loaded.
        network: what was loaded.
        dims: axes of the input blobs.
    """

    def __init__(self, engine: Any, net: Any, network: NcnnFile, dims: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(tuple(port.spec for port in network.inputs), tuple(port.spec for port in network.outputs))
        self._engine, self._net, self._dims = engine, net, dims
        self._ports = network.inputs, network.outputs  # and not the weights, of which ncnn has its own copy

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Examples of a free batch run one after the other: ncnn has no batch."""
        given = {port.blob: _as_floats(port, feeds[port.spec.name]) for port in self._ports[0]}
        counts = {len(given[port.blob]) for port in self._ports[0] if _is_free(port)} or {1}
        if len(counts) > 1:
            raise EngineError(f"the inputs have batches of {sorted(counts)}; they must be of one length")
        runs = [self._run_one(given, number) for number in range(counts.pop())]
        return {port.spec.name: _answer(port, [run[i] for run in runs]) for i, port in enumerate(self._ports[1])}

    def _run_one(self, given: Mapping[str, Array], number: int) -> list[Array]:
        """The outputs for one example."""
        try:
            with self._net.create_extractor() as extractor:
                kept = []  # ncnn reads our arrays in place
                for port in self._ports[0]:
                    value = given[port.blob][number if _is_free(port) else 0]
                    kept.append(np.ascontiguousarray(value).reshape(self._dims[port.blob]))
                    code = extractor.input(port.blob, self._engine.Mat(kept[-1]).clone())
                    self._check(code, f"take the input {port.spec.name!r}")
                answers = []
                for port in self._ports[1]:
                    code, found = extractor.extract(port.blob)
                    self._check(code, f"compute the output {port.spec.name!r}")
                    answers.append(np.array(found, dtype=np.float32))
                return answers
        except _ENGINE_ERRORS as error:
            raise EngineError(f"ncnn failed to run the model: {one_line(error)}") from error

    def _check(self, code: int, what: str) -> None:
        if code != 0:
            raise EngineError(f"ncnn could not {what}: code {code}", hint="is there enough memory?")

    def _free(self) -> None:
        self._net.clear()
        self._net = None


def engine_module() -> Any:
    """The ncnn module. Raises MissingExtraError."""
    try:
        import ncnn
    except ImportError as error:
        raise MissingExtraError("ncnn", "ncnn") from error
    return ncnn


def _net(engine: Any, network: NcnnFile, called: str, threads: int, *, vulkan: bool) -> Any:
    """A Net that holds the network. Weights go through a file in memory: that reader knows where they end."""
    net = engine.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = vulkan
    net.opt.use_int8_inference = network.precision == "int8"
    for option in _HALF_OPTIONS:
        setattr(net.opt, option, network.precision == "fp16")
    for option in _OFF:
        setattr(net.opt, option, False)
    try:
        if net.load_param_mem(network.param) != 0:
            raise EngineError(f"ncnn refuses the layers of {called}")
        held = os.memfd_create("weights")
        try:
            with os.fdopen(os.dup(held), "wb") as file:
                file.write(network.weights)
            if net.load_model(f"/proc/self/fd/{held}") != 0:
                raise EngineError(f"ncnn refuses the weights of {called}")
        finally:
            os.close(held)
    except _ENGINE_ERRORS as error:
        raise EngineError(f"ncnn refuses {called}: {one_line(error)}") from error
    return net


def _check_gpu(engine: Any, network: NcnnFile, called: str) -> None:
    """Raises EngineError where Vulkan would leave the work, or part of it, to the CPU without a word."""
    if network.precision == "int8":
        raise EngineError(
            f"{called} is int8; ncnn's 8-bit layers run on the CPU", hint="use the runtime ncnn, or fp16 on the GPU"
        )
    try:
        ctypes.CDLL(_LOADER)  # ncnn would write to our stderr that it is not there
    except OSError as error:
        raise EngineError(
            f"ncnn finds no GPU: the Vulkan loader cannot be loaded ({one_line(error)})",
            hint="install the Vulkan loader (libvulkan1) and the GPU's driver, or use the runtime ncnn",
        ) from None
    if not hasattr(engine, "get_gpu_count") or engine.get_gpu_count() < 1:
        raise EngineError(
            "ncnn finds no GPU: the Vulkan loader is there, but no driver or no device",
            hint="install the GPU's Vulkan driver (vulkaninfo lists devices), or use the runtime ncnn",
        )


def _is_free(port: Port) -> bool:
    return bool(port.spec.shape) and port.spec.shape[0] is None


def _as_floats(port: Port, value: Array) -> Array:
    """Examples along the first axis, as float32. Raises EngineError for integers that float32 does not hold."""
    if value.dtype != np.float32 and value.size and max(abs(int(value.min())), abs(int(value.max()))) > MOST_EXACT:
        raise EngineError(
            f"input {port.spec.name!r} holds integers beyond {MOST_EXACT}, which ncnn's floats do not tell apart"
        )
    return (value if _is_free(port) else value[np.newaxis]).astype(np.float32, copy=False)


def _answer(port: Port, found: list[Array]) -> Array:
    """Answers of all examples under the port's shape and type."""
    if _is_free(port):
        shape = (len(found), *(int(n or 1) for n in port.spec.shape[1:]))
        stacked = np.stack(found).reshape(shape)
    else:
        stacked = found[0].reshape([int(n or 1) for n in port.spec.shape])
    if port.spec.dtype == "float32":
        return stacked
    if not (np.abs(stacked) <= MOST_EXACT).all():
        raise EngineError(f"output {port.spec.name!r} holds no integers that floats tell apart")
    whole: Array = np.rint(stacked).astype(port.spec.dtype)
    return whole


__all__ = ["NcnnRuntime", "NcnnSession", "NcnnVulkanRuntime"]
