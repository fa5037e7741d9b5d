"""From a choice of types to a file: every tensor rounded with the Gram matrix that was found for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shoestring.base.errors import UsageError
from shoestring.compress.language.family import Family
from shoestring.compress.language.rounder import Bytes, Rounder
from shoestring.compress.language.store import GramStore
from shoestring.domain.weights import WeightsFile
from shoestring.weights.writing import write_gguf


@dataclass(frozen=True)
class Order:
    """A file to make.

    Args:
        out: its path.
        types: by the tensor's name, of every tensor of `family.linears()`.
    """

    out: Path
    types: Mapping[str, str]


def make_mixes(
    source: Path,
    header: WeightsFile,
    rounder: Rounder,
    family: Family,
    store: GramStore,
    orders: Sequence[Order],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Make files; a tensor that several want in one type is rounded once.

    Args:
        source: the file that the tensors come from.
        header: of it.
        rounder: its tensors.
        family: of the network.
        store: Gram matrices of `findings.find`.
        orders: what to make.
        progress: called with (roundings done, all).

    Raises:
        UsageError: an order leaves a tensor out, or names a type that does not apply.
        StorageError: the disk refuses, or a Gram matrix is missing.
    """
    names = family.linears()
    for order in orders:
        _check(order, names, rounder)
    wanted = {name: sorted({order.types[name] for order in orders}) for name in names}
    total, made = sum(len(kinds) for kinds in wanted.values()), dict[tuple[str, str], Bytes]()
    for name, kinds in wanted.items():
        gram = store.get(name)
        for kind in kinds:
            made[name, kind] = rounder.rounded(name, kind, gram)
            progress(len(made), total)
    for order in orders:
        write_gguf(order.out, source, header, dict(order.types), _of(made, order))


def _of(made: Mapping[tuple[str, str], Bytes], order: Order) -> Callable[[str], Bytes]:
    return lambda name: made[name, order.types[name]]


def _check(order: Order, names: list[str], rounder: Rounder) -> None:
    missing = [name for name in names if name not in order.types]
    if missing or len(order.types) != len(names):
        wrong = missing or sorted(set(order.types) - set(names))
        raise UsageError(f"a mix names a type for each of {len(names)} tensors; {wrong[0]!r} is not among both")
    for name in names:
        if order.types[name] not in rounder.types(name):
            raise UsageError(
                f"{name} cannot be stored as {order.types[name]}; possible: {', '.join(rounder.types(name))}"
            )
