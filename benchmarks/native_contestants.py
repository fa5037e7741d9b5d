"""Who takes part in the benchmark of compiled programs, and the files they run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREPARE_SECONDS = 900.0
HERE = Path(__file__).resolve().parent
NATIVE = "native"


@dataclass(frozen=True)
class Contestant:
    """An engine with its settings.

    Args:
        name: in tables; unique within a kind.
        kind: `int8`, `fp32` or `mixed` (int8 with some layers in float); only one kind is compared with itself.
        engine: of native_child.py.
        source: which ONNX file it starts from: `int8`, `fp32` or `int8float`.
        prepare: conversion of native_prepare.py, or None where the engine takes the ONNX file.
        suffix: of the converted file.
        settings: further settings of the engine.
    """

    name: str
    kind: str
    engine: str
    source: str
    prepare: str | None = None
    suffix: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


# ncnn has no entry in int8: its pip packages carry neither ncnn2table nor ncnn2int8, which make its int8 models.
CONTESTANTS = (
    Contestant(NATIVE, "int8", NATIVE, "int8"),
    Contestant("ORT", "int8", "onnxruntime", "int8"),
    Contestant("OpenVINO", "int8", "openvino", "int8"),
    Contestant("LiteRT", "int8", "litert", "fp32", "litert-int8", ".tflite"),
    Contestant("ncnn bf16", "int8", "ncnn", "fp32", "ncnn", ".ncnn", {"precision": "bf16"}),
    Contestant("IREE", "int8", "iree", "int8", "iree", ".vmfb"),
    Contestant("TVM untuned", "int8", "tvm", "int8", "tvm", ".so"),
    Contestant(NATIVE, "fp32", NATIVE, "fp32"),
    Contestant("ORT", "fp32", "onnxruntime", "fp32"),
    Contestant("OpenVINO", "fp32", "openvino", "fp32", None, "", {"precision": "f32"}),
    Contestant("LiteRT", "fp32", "litert", "fp32", "litert-float", ".tflite"),
    Contestant("ncnn", "fp32", "ncnn", "fp32", "ncnn", ".ncnn", {"precision": "f32"}),
    Contestant("IREE", "fp32", "iree", "fp32", "iree", ".vmfb"),
    Contestant("TVM untuned", "fp32", "tvm", "fp32", "tvm", ".so"),
    Contestant(NATIVE, "mixed", NATIVE, "int8float"),
    Contestant("ORT", "mixed", "onnxruntime", "int8float"),
    Contestant("OpenVINO", "mixed", "openvino", "int8float"),
)
ENGINES = tuple(dict.fromkeys(item.engine for item in CONTESTANTS))
KINDS = tuple(dict.fromkeys(item.kind for item in CONTESTANTS))


@dataclass(frozen=True)
class Ready:
    """A contestant's file, or why it has none.

    Args:
        path: of what it runs, or None.
        note: how it was made, or the reason.
        seconds: it took, when it was made now.
    """

    path: Path | None
    note: str
    seconds: float | None = None


def prepared(contestant: Contestant, model: str, models: Path, cache: Path, python: str) -> Ready:
    """Convert for a peer, once for each source file and converter.

    Args:
        model: name, as native_models.py has it.
        models: folder of the ONNX files.
        cache: folder for converted files.
        python: interpreter that has the peers' packages.
    """
    source = models / f"{model}_{contestant.source}.onnx"
    if not source.exists():
        return Ready(None, f"there is no {source.name}; python benchmarks/native_models.py makes it")
    if contestant.prepare is None:
        return Ready(source, "takes the ONNX file")
    stamp = hashlib.sha256(source.read_bytes() + (HERE / "native_prepare.py").read_bytes()).hexdigest()[:12]
    target = cache / f"{model}_{contestant.prepare}_{contestant.source}_{stamp}{contestant.suffix}"
    said = target.with_name(target.name + ".json")
    if target.exists() and said.exists():
        return Ready(target, json.loads(said.read_text())["note"])
    cache.mkdir(parents=True, exist_ok=True)
    command = [python, str(HERE / "native_prepare.py"), contestant.prepare, str(source), str(target)]
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [*command, str(models / f"{model}_photos.npy")],
            capture_output=True,
            text=True,
            timeout=PREPARE_SECONDS,
            check=False,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )
    except subprocess.TimeoutExpired:
        return Ready(None, f"conversion took longer than {PREPARE_SECONDS:.0f} s")
    lines = done.stdout.strip().splitlines()
    if not lines:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Ready(None, f"conversion ended with {done.returncode}: {last[:300]}")
    answer = json.loads(lines[-1])
    if "failed" in answer:
        return Ready(None, f"not converted: {answer['failed']}")
    said.write_text(json.dumps(answer))
    return Ready(target, answer["note"], time.perf_counter() - start)
