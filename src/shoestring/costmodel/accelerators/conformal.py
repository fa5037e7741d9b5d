"""Intervals that hold because of errors seen on networks that the fit had not seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def conformal_quantile(scores: NDArray[np.float64], confidence: float = 0.9) -> float | None:
    """The ceil(confidence (n + 1))-th smallest score, or None where so few scores cannot give the confidence.

    Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005), with scores
    from leaving networks out (Barber et al., Annals of Statistics 49, 2021).

    Args:
        scores: of points left out, zero or more each.
        confidence: 0 to 1.
    """
    rank = math.ceil(confidence * (len(scores) + 1))
    if rank > len(scores):
        return None
    return float(np.sort(scores)[rank - 1])
