"""What a variant's outputs are worth: classes in order and paired counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError
from shoestring.base.outputs import checked_rows
from shoestring.domain.score import Paired

if TYPE_CHECKING:
    from collections.abc import Sequence


def top_classes(logits: npt.NDArray[Any], k: int = 5) -> tuple[tuple[int, ...], ...]:
    """The best `k` classes of each row, best first; of equal values the lower index comes first.

    Args:
        logits: (n, classes), logits or probabilities.
        k: at least 1; fewer classes give all of them.

    Raises:
        EngineError: another shape, or NaN.
        DataError: k below 1.
    """
    if k < 1:
        raise DataError(f"the best {k} classes make no sense", hint="use at least 1")
    values = checked_rows(logits)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return tuple(tuple(row) for row in order.tolist())


def paired(
    original: Sequence[tuple[int, ...]],
    variant: Sequence[tuple[int, ...]],
    labels: Sequence[int] | None,
    k: int = 1,
) -> Paired:
    """Count hits of original and variant on the same inputs.

    Args:
        original: best classes of each input, best first, at least k of them (or all the model has).
        variant: likewise, in the same order of inputs.
        labels: the right class of each input; None counts agreement with the original's first class.
        k: a hit has the label among the first k. Agreement is of the first class only.

    Raises:
        DataError: different lengths, no input at all, k below 1, or k above 1 without labels.
    """
    n = len(original)
    if len(variant) != n or (labels is not None and len(labels) != n) or n == 0:
        counts = f"{n} originals, {len(variant)} variants" + ("" if labels is None else f", {len(labels)} labels")
        raise DataError(f"paired outcomes need equal numbers of inputs above zero, got {counts}")
    if k < 1 or (labels is None and k != 1):
        raise DataError(f"top-{k} makes no sense {'without' if labels is None else 'with'} labels")
    if labels is None:
        agreed = sum(one[0] == other[0] for one, other in zip(original, variant, strict=True))
        return Paired(n=n, original_hits=n, variant_hits=agreed, wins=0, losses=n - agreed)
    before = [label in top[:k] for top, label in zip(original, labels, strict=True)]
    after = [label in top[:k] for top, label in zip(variant, labels, strict=True)]
    wins = sum(hit and not was for was, hit in zip(before, after, strict=True))
    losses = sum(was and not hit for was, hit in zip(before, after, strict=True))
    return Paired(n=n, original_hits=sum(before), variant_hits=sum(after), wins=wins, losses=losses)
