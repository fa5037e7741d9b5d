"""How sure a model is of its answer, as a whole number: the workshop and the device run this same code.

Four measures, all of which rise as the answer gets surer:

- `top-probability`: p1, the largest probability (Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and
  Out-of-Distribution Examples", ICLR 2017);
- `margin`: p1 - p2, between the two largest (Park et al., "Big/little deep neural network", CODES+ISSS 2015);
- `entropy`: 1 - H(p) / ln(classes) (Teerapittayanon et al., "BranchyNet", ICPR 2016);
- `logit-margin`: ln p1 - ln p2, the distance of the two largest logits, which does not saturate as probabilities do.

Levels are values times STEPS, rounded to whole numbers: thresholds are exact in any file format, and a difference in
the last digit of a float does not move an image to another stage unless it lies on a rounding edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError
from shoestring.base.outputs import log_softmax

MEASURES = ("top-probability", "margin", "entropy", "logit-margin")
STEPS = 10_000  # levels for each unit
MAX_LEVEL = 1_000_000  # of the logit margin: odds of e^100 to 1
TINY = 1e-300  # a probability of zero has no logarithm


def sureness(outputs: npt.NDArray[Any], *, probabilities: bool) -> dict[str, int]:
    """The level of every measure.

    Args:
        outputs: (classes,) of one input, at least two classes.
        probabilities: whether they are probabilities already.

    Returns:
        By measure, from 0 to STEPS, or MAX_LEVEL for the logit margin.

    Raises:
        EngineError: another shape, or an output that is not a finite number.
    """
    if outputs.ndim != 1 or len(outputs) < 2:
        raise EngineError(f"an output has shape {outputs.shape}, not (classes,) of at least two")
    if not np.isfinite(outputs).all():
        raise EngineError("the model's output is not a finite number", hint="check the image and the pre-processing")
    if probabilities:
        p = np.maximum(outputs.astype(np.float64), 0)
        logs = np.log(np.maximum(p, TINY))
    else:
        logs = log_softmax(outputs[np.newaxis])[0]
        p = np.exp(logs)
    second, first = np.partition(p, -2)[-2:]
    log_second, log_first = np.partition(logs, -2)[-2:]
    entropy = -float(np.sum(p * logs)) / np.log(len(p))
    values = {
        "top-probability": float(first),
        "margin": float(first - second),
        "entropy": 1 - float(entropy),
        "logit-margin": float(log_first - log_second),
    }
    return {name: _level(value, MAX_LEVEL if name == "logit-margin" else STEPS) for name, value in values.items()}


def _level(value: float, most: int) -> int:
    return min(most, max(0, round(value * STEPS)))


def best_class(outputs: npt.NDArray[Any]) -> int:
    """The class of the largest output; of equal ones the lowest."""
    return int(np.argmax(outputs))
