"""NVIDIA's TensorRT, through ONNX Runtime's execution provider for it.

Options: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html. TensorRT builds an engine for
the very chip it runs on, which takes minutes on a Jetson; a cache of engines spares the next load that.
"""

from __future__ import annotations

import ctypes
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import EngineError, UsageError
from shoestring.base.limits import GIB
from shoestring.runtimes.checks import check_threads, model_bytes, model_name
from shoestring.runtimes.onnx_bytes import FLOAT16, read_facts
from shoestring.runtimes.ort import OrtSession, engine_errors, engine_module, reason, session_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.runtimes.onnx_bytes import OnnxFacts
    from shoestring.runtimes.protocol import Array

PROVIDER = "TensorrtExecutionProvider"
WORKSPACE_BYTES = GIB
"""What ONNX Runtime allows by default; a Jetson Nano shares 4 GB between its processors and the system."""

NO_TF32 = "NVIDIA_TF32_OVERRIDE"
"""Set to 0 before CUDA is loaded, 32-bit floats stay 32-bit floats on chips that would round them to 19 bits."""

_LIBRARIES = tuple(f"libnvinfer.so.{major}" for major in (11, 10, 9, 8))
_RECORD = "session.record_ep_graph_assignment_info"
_NO_CPU = "session.disable_cpu_ep_fallback"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class TensorRtOptions:
    """How engines are built.

    Args:
        fp16: whether 16-bit floats may be computed with; None does what the artefact does.
        int8: whether 8-bit integers may; None does what the artefact does. Maxwell (Jetson Nano) has no code for them.
        cache_dir: directory for engines and measured timings, which only this user may write to: an engine is code that
            is loaded without a look. None builds anew in every load.
        workspace_bytes: memory that layers may try, at least 1.
        device: number of the GPU.
    """

    fp16: bool | None = None
    int8: bool | None = None
    cache_dir: Path | None = None
    workspace_bytes: int = WORKSPACE_BYTES
    device: int = 0


class TensorRtRuntime:
    """TensorRT for whole models: one that it cannot take every operator of is refused, never run half on the CPU.

    Args:
        options: None for the usual ones.
    """

    name = "tensorrt"

    def __init__(self, options: TensorRtOptions | None = None) -> None:
        self._options = options or TensorRtOptions()

    def version(self) -> str:
        """Of ONNX Runtime and of TensorRT's own library, like `1.18.0+trt8.6.1`.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            EngineError: it was built without TensorRT.
        """
        engine = _engine()
        return f"{engine.__version__}+trt{library_version() or '?'}"

    def load(self, model: Path | bytes, threads: int) -> TensorRtSession:
        """Load a self-contained ONNX model and build its engine, unless the cache holds it. That takes minutes.

        Args:
            model: file or bytes.
            threads: of the host, at least 1; the GPU does not mind.

        Raises:
            UsageError: `threads` or the workspace is below 1, or others may write to the cache's directory.
            MissingExtraError: ONNX Runtime is not installed.
            EngineError: there is no TensorRT here, or it does not take the whole model.
        """
        check_threads(threads)
        os.environ.setdefault(NO_TF32, "0")
        engine = _engine()
        data, name = model_bytes(model), model_name(model)
        try:
            facts = read_facts(data)
        except EngineError as error:
            raise EngineError(f"TensorRT refuses {name}: {error.message}") from error
        settings = session_options(engine, threads)
        recorded = hasattr(engine.InferenceSession, "get_provider_graph_assignment_info")
        settings.add_session_config_entry(_RECORD if recorded else _NO_CPU, "1")
        providers = [(PROVIDER, provider_options(self._options, facts))]
        try:
            session = engine.InferenceSession(data, settings, providers=providers, enable_fallback=0)
        except engine_errors() as error:
            raise EngineError(f"TensorRT refuses {name}: {reason(error)}") from error
        check_placement(session, name, recorded)
        return TensorRtSession(engine, session)


class TensorRtSession(OrtSession):
    """A model whose engine was built: engines come with the first run, so that one belongs to the load.

    Args:
        engine: the onnxruntime module.
        session: its InferenceSession.
    """

    def __init__(self, engine: Any, session: Any) -> None:
        super().__init__(engine, session)
        session.disable_fallback()  # else a failed run is repeated on the CPU, with words on stdout
        shapes = {spec.name: tuple(length or 1 for length in spec.shape) for spec in self.inputs}
        self.run({spec.name: np.zeros(shapes[spec.name], spec.dtype) for spec in self.inputs})

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return super()._infer(feeds)
        except EngineError as error:
            raise EngineError(error.message.replace("ONNX Runtime", "TensorRT"), hint=error.hint) from error


def provider_options(options: TensorRtOptions, facts: OnnxFacts) -> dict[str, str]:
    """Options of ONNX Runtime's provider.

    Args:
        options: of ours.
        facts: of the model, which say the precision where the options do not.

    Raises:
        UsageError: the workspace is below 1 byte, or the cache is no directory that only this user may write to.
    """
    if options.workspace_bytes < 1:
        raise UsageError(f"a workspace of {options.workspace_bytes} bytes is below 1", hint="1 GiB is usual")
    fp16 = FLOAT16 in facts.types if options.fp16 is None else options.fp16
    int8 = "QuantizeLinear" in facts.operators if options.int8 is None else options.int8
    given = {
        "device_id": str(options.device),
        "trt_max_workspace_size": str(options.workspace_bytes),
        "trt_fp16_enable": _flag(fp16),
        "trt_int8_enable": _flag(int8),
        "trt_engine_cache_enable": _flag(options.cache_dir is not None),
        "trt_timing_cache_enable": _flag(options.cache_dir is not None),
    }
    if options.cache_dir is not None:
        _check_private(options.cache_dir)
        given["trt_engine_cache_path"] = given["trt_timing_cache_path"] = str(options.cache_dir.absolute())
    return given


def check_placement(session: Any, name: str, recorded: bool) -> None:
    """Refuse a session in which TensorRT does not run every operator.

    Args:
        session: ONNX Runtime's.
        name: of the model, for messages.
        recorded: whether the session knows where each operator runs; else it was told not to use the CPU.

    Raises:
        EngineError: names the operators that would run elsewhere.
    """
    if PROVIDER not in session.get_providers():
        raise EngineError(
            f"TensorRT did not take {name}: ONNX Runtime would run it on {', '.join(session.get_providers())}",
            hint="its libraries may be missing or of another version than this ONNX Runtime was built for",
        )
    if not recorded:
        return
    elsewhere = sorted(
        {f"{node.op_type} on {part.ep_name}" for part in session.get_provider_graph_assignment_info()
         if part.ep_name != PROVIDER for node in part.get_nodes()}
    )  # fmt: skip
    if elsewhere:
        raise EngineError(
            f"TensorRT does not take all of {name}: {', '.join(elsewhere)}",
            hint="rewrite these operators, or use another runtime",
        )


def library_version() -> str | None:
    """Version of TensorRT's own library, or None where it cannot be loaded."""
    for library in _LIBRARIES:
        try:
            number = int(ctypes.CDLL(library).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        # NvInferVersion.h: major * 1000 + minor * 100 + patch up to version 9, with 10000 for 1000 from 10 on.
        major, rest = divmod(number, 10_000) if number >= 100_000 else divmod(number, 1000)
        return f"{major}.{rest // 100}.{rest % 100}"
    return None


def _engine() -> Any:
    engine = engine_module()
    if PROVIDER not in engine.get_available_providers():
        raise EngineError(
            "this ONNX Runtime was built without TensorRT",
            hint="pip install onnxruntime-gpu in place of onnxruntime, or NVIDIA's build for Jetson: "
            "https://elinux.org/Jetson_Zoo#ONNX_Runtime",
        )
    return engine


def _check_private(folder: Path) -> None:
    try:
        found = folder.stat()
    except OSError as error:
        raise UsageError(f"cannot use the cache {folder}: {error.strerror}", hint="make the directory first") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & _OTHERS_WRITE or found.st_uid != os.geteuid():
        raise UsageError(
            f"the cache {folder} is no directory that only this user may write to",
            hint=f"mkdir -m 700 {folder}",
        )


def _flag(value: bool) -> str:
    return "True" if value else "False"


__all__ = [
    "TensorRtOptions",
    "TensorRtRuntime",
    "TensorRtSession",
    "check_placement",
    "library_version",
    "provider_options",
]
