"""Whether a pre-processing gives what a model's input takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError
from shoestring.inputs.image import tensor

if TYPE_CHECKING:
    from shoestring.domain.model import TensorSpec
    from shoestring.domain.preprocess import Preprocess


def check_fits(wanted: TensorSpec, spec: Preprocess) -> None:
    """Raises DataError when the pre-processing gives another shape or type than the input `wanted` takes."""
    example = tensor(np.zeros((1, spec.height, spec.width, spec.channels), np.uint8), spec)
    if example.shape[1:] != wanted.shape[1:] or str(example.dtype) != wanted.dtype:
        raise DataError(
            f"pre-processing gives {example.dtype} {example.shape[1:]}, "
            f"the model's input {wanted.name!r} takes {wanted.dtype} {wanted.shape[1:]}",
            hint="check height, width, layout, colour and dtype",
        )
