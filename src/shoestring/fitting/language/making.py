"""From texts to files: what each tensor's rounding costs, and the mixes that are made of it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base import disk
from shoestring.base.canonical import digest
from shoestring.compress.language.family import Family, family_of
from shoestring.compress.language.findings import find
from shoestring.compress.language.mix import Order, make_mixes
from shoestring.compress.language.rounder import LEVELS, Rounder
from shoestring.compress.language.store import GramStore
from shoestring.device.language.model_files import hash_of
from shoestring.domain.bits import Findings, Mix
from shoestring.domain.evidence import Sensitivity
from shoestring.domain.ladder import candidate_name
from shoestring.domain.recipe import Recipe, Step
from shoestring.fitting.language.bench import GIVEN, Bench, Written
from shoestring.fitting.sources import sources_digest
from shoestring.runtimes.writers import LLAMACPP
from shoestring.weights.tensors import open_tensors

if TYPE_CHECKING:
    from shoestring.compress.language.passes import Tokens

SENSITIVITY_TYPE = "Q4_0"
"""In which tensors are compared: it applies to every width of a multiple of 32."""
GIVEN_WHY = "the file as it was given"
MIX_WHY = "one block type a tensor: least divergence for its size by the calibration texts"


def question(bench: Bench) -> dict[str, object]:
    """What findings and mixes hang on."""
    return {
        "model": bench.source.sha256,
        "runs": digest(bench.split("calibration").runs),
        "seed": bench.seed,
        "levels": LEVELS,
        "sources": digest([sources_digest(room) for room in ("compress", "weights", "search")]),
        "numpy": np.__version__,
        "isa": bench.machine.isa,
    }


def calibration_tokens(bench: Bench) -> Tokens:
    """Blocks of equal length, (blocks, positions): shorter ones are left out."""
    runs = bench.split("calibration").runs
    longest = max(map(len, runs))
    return np.array([run for run in runs if len(run) == longest], dtype=np.int64)


def findings(bench: Bench) -> tuple[Findings, GramStore]:
    """What each tensor costs in each type, and the matrices to round it with; kept.

    Raises:
        ModelError: the model is of no family that is computed here.
    """
    asked = question(bench)
    family = family_of(bench.source.header)
    folder = disk.make_directory(bench.cache.root / "grams") / digest(asked)
    store = GramStore(folder, family.linears())

    def compute() -> Findings:
        tokens = calibration_tokens(bench)
        with open_tensors(bench.source.path, bench.source.header) as raw:
            return find(
                Rounder(bench.source.header, raw),
                family,
                tokens,
                store,
                seed=bench.seed,
                progress=lambda done, of: bench.progress("finding what each tensor's rounding costs", done, of),
            )

    if not store.complete():  # the findings alone are of no use
        path = bench.cache.path("findings", asked, ".json")
        if path.exists():
            disk.remove(path)
    return bench.cache.noun("findings", asked, Findings, compute), store


def sensitivity(found: Findings, family: Family) -> tuple[Sensitivity, ...]:
    """For the evidence: what each tensor alone costs in one and the same type, worst first."""
    losses = {(choice.tensor, choice.type): choice.loss for choice in found.choices}
    kept = []
    for name in family.linears():
        kinds = [kind for tensor, kind in losses if tensor == name]
        kind = SENSITIVITY_TYPE if SENSITIVITY_TYPE in kinds else kinds[-1]
        kept.append(Sensitivity(name, kind, losses[name, kind], None))
    return tuple(sorted(kept, key=lambda one: (-one.kl, one.layer)))


def given(bench: Bench) -> Written:
    """The user's own file."""
    recipe = Recipe(GIVEN, "as-given", (), GIVEN_WHY)
    source = bench.source
    return Written(candidate_name(recipe, LLAMACPP), recipe, source.path, source.sha256, source.path.stat().st_size)


def make(bench: Bench, mixes: Sequence[Mix], store: GramStore) -> list[Written]:
    """A file of each mix; kept."""
    rest = question(bench)
    paths = [bench.cache.path("mixes", {**rest, "types": mix.types}, ".gguf") for mix in mixes]
    missing = [(mix, path) for mix, path in zip(mixes, paths, strict=True) if not path.exists()]
    if missing:
        _write(bench, [Order(path, mix.types) for mix, path in missing], store)
    return [_written(bench, mix, path) for mix, path in zip(mixes, paths, strict=True)]


def _write(bench: Bench, orders: Sequence[Order], store: GramStore) -> None:
    source = bench.source
    with disk.storage_errors(bench.cache.root):
        directory = tempfile.TemporaryDirectory(dir=bench.cache.root)
    with directory as scratch, open_tensors(source.path, source.header) as raw:
        made = [Order(Path(scratch) / f"{number}.gguf", order.types) for number, order in enumerate(orders)]
        make_mixes(
            source.path,
            source.header,
            Rounder(source.header, raw),
            family_of(source.header),
            store,
            made,
            progress=lambda done, of: bench.progress(f"rounding {len(orders)} mixes", done, of),
        )
        for one, order in zip(made, orders, strict=True):
            disk.replace(one.out, order.out)


def _written(bench: Bench, mix: Mix, path: Path) -> Written:
    size = path.stat().st_size
    counts = Counter(mix.types.values())
    ends = {"embedding": mix.types.get("token_embd.weight"), "head": mix.types.get("output.weight")}
    options = dict(sorted(counts.items())) | {name: kind for name, kind in ends.items() if kind is not None}
    recipe = Recipe(mix_name(size), "mixed", (Step("mix", dict(options)),), MIX_WHY, mix.loss)
    most = ", ".join(f"{count} in {kind}" for kind, count in counts.most_common())
    sha256 = hash_of(path) or ""
    return Written(candidate_name(recipe, LLAMACPP), recipe, path, sha256, size, (f"tensors: {most}",))


def mix_name(size_bytes: int) -> str:
    """`mix-86MB`; three digits where it is larger or smaller than that."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"mix-{size_bytes / factor:.3g}{unit}"
    return f"mix-{size_bytes}B"
