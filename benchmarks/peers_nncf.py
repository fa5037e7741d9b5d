"""Peers made by NNCF on ONNX (https://github.com/openvinotoolkit/nncf). Each function runs in a process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import nncf
import numpy as np
import onnx
import onnxruntime

from peers_inputs import BATCH, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Validation = tuple[float, list[float]]


def calibration(request: dict[str, Any]) -> tuple[nncf.Dataset, int]:
    """All calibration images, and how many runs they take: NNCF's own default would stop at 300."""
    inputs = Inputs(request, "calibration")
    step = inputs.fixed or 1
    starts = range(0, len(inputs), step)
    return nncf.Dataset(starts, lambda start: inputs.feed(range(start, min(start + step, len(inputs))))), len(starts)


def default(request: dict[str, Any]) -> dict[str, Any]:
    """`nncf.quantize` with nothing set but the number of images."""
    images, runs = calibration(request)
    start = time.perf_counter()
    onnx.save(nncf.quantize(onnx.load(request["model"]), images, subset_size=runs), request["out"])
    return {"seconds": time.perf_counter() - start, "note": "nncf.quantize, nothing set"}


def accuracy_control(request: dict[str, Any]) -> dict[str, Any]:
    """`nncf.quantize_with_accuracy_control`: layers go back to float until selection loses at most max_drop."""
    images, runs = calibration(request)
    selection = Inputs(request, "selection")
    start = time.perf_counter()
    model = onnx.load(request["model"])
    labels = request["labels"]
    wanted = np.array(labels) if labels is not None else best_classes(model, selection, range(len(selection)))
    made = nncf.quantize_with_accuracy_control(
        model,
        calibration_dataset=images,
        validation_dataset=nncf.Dataset(range(len(selection))),
        validation_fn=validator(selection, wanted),
        max_drop=request["max_drop"],
        subset_size=runs,
    )
    onnx.save(made, request["out"])
    metric = "agreement" if labels is None else "top-1"
    note = f"max_drop={request['max_drop']:g} of {metric} on {len(selection)} selection images, else nothing set"
    return {"seconds": time.perf_counter() - start, "note": note}


def validator(
    selection: Inputs, wanted: np.ndarray[Any, Any]
) -> Callable[[onnx.ModelProto, Iterable[int]], Validation]:
    """What NNCF calls to judge a model. It gives a value for each image, which spares NNCF a session an image."""

    def validate(model: onnx.ModelProto, indices: Iterable[int]) -> Validation:
        chosen = list(indices)
        hits = (best_classes(model, selection, chosen) == wanted[chosen]).astype(float)
        return float(hits.mean()), hits.tolist()

    return validate


def best_classes(model: onnx.ModelProto, inputs: Inputs, indices: Iterable[int]) -> np.ndarray[Any, Any]:
    """First class (n,) of each image."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    chosen, step = list(indices), inputs.fixed or BATCH
    classes = []
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        classes.append(session.run(None, inputs.feed(part))[0].argmax(axis=1)[: len(part)])
    return np.concatenate(classes)
