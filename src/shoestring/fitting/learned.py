"""A model is not certified on images that it was trained on, as far as it says which those were."""

from __future__ import annotations

from pathlib import Path

from shoestring.base.cache import Cache
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError
from shoestring.evaluate.dataset import Dataset
from shoestring.evaluate.identity import seen_before
from shoestring.evaluate.splits import Splits
from shoestring.importers.trained_on import trained_on


def check_not_learned(path: Path, dataset: Dataset, splits: Splits, store: Cache) -> None:
    """Compare what `shoestring distill` wrote into a model with the images that choose and certify.

    Args:
        path: of the model as the user gave it.
        dataset: of the fit.
        splits: of it.
        store: keeps whether a file says anything about its training.

    Raises:
        DataError: some of them were learnt from, or the list of training images is missing.
    """
    question = {"trained_on": sha256_hex(path.read_bytes())}
    if not store.noun("marks", question, bool, lambda: trained_on(path) is not None):
        return
    hashes = trained_on(path) or frozenset()
    judges = (*splits.selection, *splits.certification)
    seen = seen_before(dataset, judges, hashes)
    if seen:
        raise DataError(
            f"{path.name} was trained on {len(seen):,} of the {len(judges):,} images that would choose and certify it",
            hint="fit with images that it has not seen; distill leaves those of --data out when --seed is the same",
        )
