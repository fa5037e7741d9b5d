"""Mixes of ours beside llama.cpp's stock files of SmolLM2-135M: divergence at the same bytes, on text that no fit saw.

    python benchmarks/llm_mixes.py                                   # everything; half an hour on two cores
    python benchmarks/llm_mixes.py --stock Q4_0 --seeds 0            # one size, one draw of text
    python benchmarks/llm_mixes.py --rates                           # with tokens a second, of all files in turn

The original is the dequantised Q4_1 file, which flatters mixes with Q4_1 and Q5_1 (they hold its grid), so that mixes
are made twice: from all types, and from a menu without those two. BBC news, each article once, are halved by their
hash; one half calibrates, and of the other each seed draws articles and a place in each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from language_material import CACHE, news, smollm2
from llm_stock import STOCK, float_file, stock
from shoestring.base import canonical
from shoestring.base.errors import StorageError
from shoestring.compress.language.family import family_of
from shoestring.compress.language.findings import find
from shoestring.compress.language.mix import Order, make_mixes
from shoestring.compress.language.rounder import LEVELS, Rounder
from shoestring.compress.language.store import GramStore
from shoestring.domain.bits import Findings, Mix
from shoestring.domain.divergence import BlockTrace, Divergence
from shoestring.evaluate.language.bootstrap import divergence
from shoestring.importers.gguf.header import read_header
from shoestring.runtimes.llamacpp.measure import measure_rates
from shoestring.runtimes.llamacpp.reference import Reference
from shoestring.runtimes.llamacpp.scorer import Scorer
from shoestring.search.bits import choose
from shoestring.weights.tensors import open_tensors

POSITIONS = 128
GRID_OF_ORIGINAL = ("Q4_1", "Q5_1")
MENUS = {
    "ours": tuple(kind for kind in LEVELS if kind not in ("F32", "BF16")),
    "ours, without Q4_1 and Q5_1": tuple(kind for kind in LEVELS if kind not in ("F32", "BF16", *GRID_OF_ORIGINAL)),
}


@dataclass(frozen=True)
class Row:
    """One file of the table."""

    size: str
    maker: str
    path: Path
    predicted: float | None
    made_s: float | None


def articles(scorer: Scorer) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens of both halves, those to calibrate on first."""
    halves: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for path in sorted(news().rglob("*.txt")):
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        halves[int(digest, 16) % 2][digest] = text
    first, second = (
        [tokens for tokens in scorer.tokenize([half[key] for key in sorted(half)]) if len(tokens) >= POSITIONS]
        for half in halves
    )
    return first, second


def blocks(documents: list[list[int]], count: int, seed: int) -> np.ndarray:
    """(count, POSITIONS): a place in each of so many articles."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(documents), count, replace=False)
    starts = [int(random.integers(0, len(documents[number]) - POSITIONS + 1)) for number in chosen]
    return np.array([documents[n][start : start + POSITIONS] for n, start in zip(chosen, starts, strict=True)])


def made(tokens: np.ndarray, sizes: dict[str, int], folder: Path) -> list[Row]:
    """Our files: for each menu and size the best that takes no more bytes."""
    source = smollm2()
    header = read_header(source)
    family = family_of(header)
    rest = header.file_bytes - sum(t.size_bytes for t in header.tensors if t.name in set(family.linears()))
    rows = []
    for maker, menu in MENUS.items():
        here = folder / hashlib.sha256(canonical.encode([maker, menu, tokens.tolist()])).hexdigest()[:12]
        here.mkdir(parents=True, exist_ok=True)
        store = GramStore(here / "grams", family.linears())
        started = time.perf_counter()
        with open_tensors(source, header) as raw:
            rounder = Rounder(header, raw, menu)
            findings = kept(here / "findings.json")
            if findings is None or not store.complete():
                findings = find(rounder, family, tokens, store)
                (here / "findings.json").write_bytes(canonical.encode(findings))
            found_s = time.perf_counter() - started
            for size, limit in sizes.items():
                mix, out = choose(findings.choices, limit - rest), here / f"{size}.gguf"
                started = time.perf_counter()
                if not out.exists():
                    make_mixes(source, header, rounder, family, store, [Order(out, mix.types)])
                    (here / f"{size}.json").write_text(json.dumps(found_s + time.perf_counter() - started))
                rows.append(Row(size, maker, out, mix.loss, json.loads((here / f"{size}.json").read_text())))
                print(f"{size} {maker}: {counted(mix)}", flush=True)
    return rows


def kept(path: Path) -> Findings | None:
    """Of an earlier run."""
    return canonical.decode(path.read_bytes(), Findings, StorageError) if path.exists() else None


def counted(mix: Mix) -> str:
    """How many tensors have each type."""
    kinds = sorted(set(mix.types.values()))
    return ", ".join(f"{kind} {sum(one == kind for one in mix.types.values())}" for kind in kinds)


def scored(rows: list[Row], documents: list[list[int]], count: int, seeds: list[int]) -> dict[Path, Divergence]:
    """Each file on the blocks of all seeds; the original's answers are taken once."""
    runs = [block.tolist() for seed in seeds for block in blocks(documents, count, 1_000 + seed)]
    header = read_header(smollm2())
    found = {}
    with Reference(family_of(header).vocabulary) as reference:
        with Scorer(float_file(), reference=reference) as scorer:
            original = scorer.remember(runs, "held out")
        for row in rows:
            with Scorer(row.path, reference=reference) as scorer:
                trace = scorer.compare(row.maker, "held out")
            found[row.path] = divergence(original, trace)
            print(f"{row.size} {row.maker}: {means(trace, len(seeds))}", flush=True)
    return found


def means(trace: BlockTrace, seeds: int) -> str:
    """The divergence of each seed's text."""
    return ", ".join(f"{np.mean(part):.4f}" for part in np.split(np.array(trace.kl), seeds))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", nargs="+", default=list(STOCK), choices=list(STOCK))
    parser.add_argument("--calibration", type=int, default=128, help="blocks of 128 tokens")
    parser.add_argument("--blocks", type=int, default=32, help="held-out blocks of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", action="store_true", help="measure tokens a second too, one thread")
    parser.add_argument("--folder", type=Path, default=CACHE / "mixes")
    asked = parser.parse_args()
    with Scorer(smollm2()) as scorer:
        calibration, held_out = articles(scorer)
    stocks = {name: stock(name) for name in asked.stock}
    ours = made(
        blocks(calibration, asked.calibration, 0), {n: p.stat().st_size for n, p in stocks.items()}, asked.folder
    )
    rows = [
        row for n, p in stocks.items() for row in (Row(n, "stock", p, None, None), *(r for r in ours if r.size == n))
    ]
    found = scored(rows, held_out, asked.blocks, asked.seeds)
    rates = measure_rates([row.path for row in rows], threads=[1]) if asked.rates else None
    print(
        "\n| size of | file | MB | KL (95 %) | of the stock file's | same top token | predicted | made in | tokens/s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for place, row in enumerate(rows):
        one, base = found[row.path], found[stocks[row.size]]
        speed = "" if rates is None else f"{rates[place][0].decode_per_s:.1f}"
        print(
            f"| {row.size} | {row.maker} | {row.path.stat().st_size / 1e6:.1f} "
            f"| {one.kl:.4f} ({one.kl_low:.4f}-{one.kl_high:.4f}) | {one.kl / base.kl:.2f} | {one.agreement:.1%} "
            f"| {'' if row.predicted is None else f'{row.predicted:.4f}'} "
            f"| {'' if row.made_s is None else f'{row.made_s:.0f} s'} | {speed} |"
        )


if __name__ == "__main__":
    main()
