"""Turns an ONNX file into what a peer runs. Started by native.py with the peers' own Python; imports no shoestring.

    python native_prepare.py KIND SOURCE.onnx TARGET [PHOTOS.npy]

Prints one JSON line: {"note": how it was made} or {"failed": why}.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

IREE_FLAGS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    "--iree-opt-level=O3",
    "--iree-opt-data-tiling",
    "--iree-preprocessing-pass-pipeline=builtin.module(util.func(iree-preprocessing-convert-conv-to-channels-last))",
)


class NotPreparedError(Exception):
    """What a peer's tool said."""


def tool(name: str) -> str:
    """A program that the peers' packages installed."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def call(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        why = next((line for line in lines if "rror" in line), lines[-1])
        raise NotPreparedError(f"{Path(command[0]).name} ended with {done.returncode}: {why}")


def ncnn(source: Path, target: Path, _: Path | None) -> str:
    """TARGET.param and TARGET.bin by pnnx."""
    import onnx

    shape = [axis.dim_value for axis in onnx.load(source).graph.input[0].type.tensor_type.shape.dim]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "net.onnx").write_bytes(source.read_bytes())
        call(tool("pnnx"), "net.onnx", f"inputshape={str(shape).replace(' ', '')}f32", "fp16=0", cwd=work)
        for part in ("param", "bin"):
            made = work / f"net.ncnn.{part}"
            if not made.exists():
                raise NotPreparedError(f"pnnx wrote no {made.name}")
            target.with_suffix(f".{part}").write_bytes(made.read_bytes())
    target.write_text("net.ncnn.param and net.ncnn.bin lie beside this file\n")
    return "pnnx, fp16=0"


def iree(source: Path, target: Path, _: Path | None) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "net.mlir"
        call(tool("iree-import-onnx"), str(source), "-o", str(text))
        call(tool("iree-compile"), str(text), *IREE_FLAGS, "-o", str(target))
    return "iree-compile, llvm-cpu for the host, O3, data tiling, convolutions channels-last"


def tvm(source: Path, target: Path, _: Path | None) -> str:
    import onnx
    import tvm
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load(source), keep_params_in_input=False)
    chip = {"kind": "llvm", "mcpu": os.environ.get("TVM_MCPU") or tvm.target.codegen.llvm_get_system_cpu()}
    tvm.compile(module, target=tvm.target.Target(chip)).export_library(str(target))
    return f"relax default pipeline for {chip['mcpu']}, not tuned"


def litert_float(source: Path, target: Path, _: Path | None) -> str:
    target.write_bytes(_converter(source).convert())
    return "the same network rebuilt in TensorFlow, TFLiteConverter"


def litert_int8(source: Path, target: Path, photos: Path | None) -> str:
    import numpy as np
    import tensorflow as tf

    if photos is None:
        raise NotPreparedError("calibration needs photographs")
    images = np.load(photos)
    converter = _converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None].transpose(0, 2, 3, 1)] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    target.write_bytes(converter.convert())
    return f"the fp32 network rebuilt in TensorFlow, TFLiteConverter's own full int8 from {len(images)} photographs"


def _converter(source: Path) -> Any:
    import onnx
    import tensorflow as tf

    from native_tensorflow import function_of

    return tf.lite.TFLiteConverter.from_concrete_functions([function_of(onnx.load(source))])


KINDS = {"ncnn": ncnn, "iree": iree, "tvm": tvm, "litert-float": litert_float, "litert-int8": litert_int8}


def main() -> None:
    kind, source, target, *rest = sys.argv[1:]
    answer: dict[str, str]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            note = KINDS[kind](Path(source), Path(target), Path(rest[0]) if rest else None)
        answer = {"note": note}
    except Exception as error:  # noqa: BLE001 - the edge of a process that runs foreign converters
        answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
