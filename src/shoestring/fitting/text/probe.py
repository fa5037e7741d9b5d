"""A linear probe: classes read off an embedding by logistic regression, stored as the graph's last product.

Of the original it is fitted to the labels of the calibration split; of a variant to the original's own probabilities on
the same texts (distillation: Hinton et al., 2015, arXiv 1503.02531), so that both answer alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from shoestring.base.errors import MissingExtraError
from shoestring.base.outputs import log_softmax
from shoestring.compress.graph import Graph, make_node

Array = npt.NDArray[Any]
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Tried by cross-validation: half the weight of |W|^2 beside the mean cross-entropy, features of mean square 1."""
FOLDS = 5
STEPS = 200  # of L-BFGS; a few hundred texts of a few classes take 50
LOGITS = "logits"
TINY = 1e-12


@dataclass(frozen=True)
class Probe:
    """logits = x @ weight + bias.

    Args:
        weight: (values, classes) float32.
        bias: (classes,) float32.
    """

    weight: Array
    bias: Array

    def __call__(self, rows: Array) -> Array:
        logits: Array = rows @ self.weight + self.bias
        return logits


def fit_probe(rows: Array, targets: Array, ridge: float) -> Probe:
    """Multinomial logistic regression with a ridge on standardised features, by L-BFGS (the problem is convex).

    Args:
        rows: embeddings (n, values).
        targets: probabilities (n, classes), rows sum to 1.
        ridge: weight of |W|^2 / 2.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise MissingExtraError("scipy", "fit") from error
    mean = rows.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(np.mean((rows - mean) ** 2))) + TINY
    x = (rows - mean) / scale
    n, (width, classes) = len(x), (x.shape[1], targets.shape[1])

    def loss(flat: Array) -> tuple[float, Array]:
        weight, bias = flat[: width * classes].reshape(width, classes), flat[width * classes :]
        logs = log_softmax(x @ weight + bias)
        slope = (np.exp(logs) - targets) / n
        value = -float(np.sum(targets * logs)) / n + ridge / 2 * float(np.sum(weight**2))
        return value, np.concatenate([(x.T @ slope + ridge * weight).ravel(), slope.sum(axis=0)])

    found = minimize(loss, np.zeros(classes * (width + 1)), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    weight = found.x[: width * classes].reshape(width, classes) / scale
    bias = found.x[width * classes :] - mean @ weight
    return Probe(weight.astype(np.float32), bias.astype(np.float32))


def one_hot(labels: tuple[int, ...], classes: int) -> Array:
    """(n, classes)."""
    rows: Array = np.eye(classes)[np.array(labels)]
    return rows


def choose_ridge(rows: Array, labels: tuple[int, ...], classes: int) -> float:
    """The ridge of RIDGES with the least cross-entropy on texts left out, over FOLDS folds of every FOLDS-th text."""
    targets, order = one_hot(labels, classes), np.arange(len(rows))

    def left_out(ridge: float) -> float:
        total = 0.0
        for fold in range(FOLDS):
            out = order % FOLDS == fold
            probe = fit_probe(rows[~out], targets[~out], ridge)
            total -= float(np.sum(targets[out] * log_softmax(probe(rows[out]))))
        return total

    return min(RIDGES, key=left_out)


def with_probe(data: bytes, probe: Probe) -> bytes:
    """The model file with the probe behind its one output, which is replaced by LOGITS."""
    graph = Graph(onnx.load_model_from_string(data))
    embedding = graph.outputs[0]
    graph.weights |= {"probe/weight": probe.weight, "probe/bias": probe.bias}
    graph.nodes.append(make_node("Gemm", [embedding, "probe/weight", "probe/bias"], [LOGITS], "probe"))
    batch = graph.proto.graph.output[0].type.tensor_type.shape.dim
    shape = [batch[0].dim_param or None if batch else None, len(probe.bias)]
    del graph.proto.graph.output[:]
    graph.proto.graph.output.append(onnx.helper.make_tensor_value_info(LOGITS, onnx.TensorProto.FLOAT, shape))
    graph.reindex()
    return graph.to_bytes()
