"""Learns the shipped weights from the table, and the errors on rows left out: `python -m ...latency.learn`."""

from __future__ import annotations

import itertools
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.latency.cases import Case, write
from shoestring.costmodel.latency.elsewhere import expected_error, related
from shoestring.costmodel.latency.levels import shared_only
from shoestring.costmodel.latency.local import blended
from shoestring.costmodel.latency.novelty import novelty
from shoestring.costmodel.latency.observations import Observation, observations
from shoestring.costmodel.latency.pooled import fit, predict_log
from shoestring.costmodel.latency.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NETWORK_FOLDS = 9
CHIP_FOLDS = 6
CELL_FOLDS = 10
STEPS = 60
"""Of every fit, each from nothing: one that began with the weights of the whole table would know what was left out."""
ANCHORS = ("mobilenet_v2", "resnet18", "squeezenet", "mobilenet", "googlenet")
"""Networks that stand for a user's one measurement, the first that is there and not left out."""


def relation(here: Observation, there: Observation) -> str:
    """How near the source chip of a transfer is to its target."""
    return related(here.setting.core, here.setting.isa, there.setting.core, there.setting.isa)


def calibrated(seen: Sequence[Observation]) -> Iterator[tuple[Observation, float, float]]:
    """Each row with its prediction for any run and for its own, its network left out on every chip."""
    networks = sorted({row.network for row in seen})
    fits = _fits([[row for row in seen if row.network != network] for network in networks])
    for network, known in zip(networks, fits, strict=True):
        for row in seen:
            if row.network == network:
                own = float(predict_log(known, row.setting, terms([row.features]))[0])
                yield row, _predict(known, row), own


def blind(seen: Sequence[Observation]) -> Iterator[tuple[str, Observation, float]]:
    """Each row with what was predicted from specifications, and from one anchor, its chip and network left out."""
    networks, chips = sorted({row.network for row in seen}), sorted({row.setting.chip for row in seen})
    folds = [
        (set(networks[fold::NETWORK_FOLDS]), set(chips[part::CHIP_FOLDS]))
        for fold, part in itertools.product(range(NETWORK_FOLDS), range(CHIP_FOLDS))
    ]
    rests = [[row for row in seen if row.network not in out and row.setting.chip not in away] for out, away in folds]
    for (out, away), learnt in zip(folds, _fits(rests), strict=True):
        known = shared_only(learnt)
        hidden = [row for row in seen if row.setting.chip in away]
        anchors = _anchors([row for row in hidden if row.network not in out])
        for row in hidden:
            if row.network in out:
                guess = _predict(known, row)
                yield "specifications", row, guess
                if row.setting in anchors:
                    anchor = anchors[row.setting]
                    own = fit([anchor], fixed=known, only=("chip", "chipkind", "setting", "run"))
                    yield "anchored", row, _predict(known | own, row)


def repeated(seen: Sequence[Observation]) -> Iterator[tuple[Observation, float]]:
    """Each row that others repeated on the same chip and setting, with the median of these."""
    by = defaultdict(list)
    for row in seen:
        by[replace(row.setting, run=""), row.network].append(row)
    for group in by.values():
        for row in group:
            rest = [other.log_ms for other in group if other.setting.run != row.setting.run]
            if rest:
                yield row, float(np.median(rest))


def known_elsewhere(seen: Sequence[Observation]) -> Iterator[tuple[Observation, float, float]]:
    """Each row with its prediction and the error to expect, its network left out on its chip but known on others."""
    cells = sorted({(row.setting.chip, row.network) for row in seen})
    outs = [set(cells[fold::CELL_FOLDS]) for fold in range(CELL_FOLDS)]
    rests = [[row for row in seen if (row.setting.chip, row.network) not in out] for out in outs]
    for out, rest, known in zip(outs, rests, _fits(rests), strict=True):
        errors = defaultdict(list)
        for row in rest:
            errors[row.network, row.setting.kind].append((row.setting, row.log_ms - _predict(known, row)))
        for row in seen:
            if (row.setting.chip, row.network) in out:
                elsewhere = errors[row.network, row.setting.kind]
                yield row, _predict(known, row), expected_error(row.setting, elsewhere)


def own_cases(seen: Sequence[Observation], alone: Sequence[tuple[Observation, float, float]]) -> Iterator[Case]:
    """Cases of calibrated chips: pooled predictions drawn towards the line of the chip's other networks."""
    anyone, run = defaultdict(list), defaultdict(list)
    for row in seen:
        anyone[replace(row.setting, run="")].append(row)
        run[row.setting].append(row)
    later = []
    for row, guess, own in alone:
        there = [near for near in anyone[replace(row.setting, run="")] if near.network != row.network]
        same = [near for near in run[row.setting] if near.network != row.network]
        yield _case("calibrated", row, blended(guess, row.features, there))
        later.append(replace(_case("calibrated", row, blended(own, row.features, same)), relation="run"))
    yield from later


def transfers(errors: Sequence[tuple[Observation, float]]) -> Iterator[tuple[Observation, float, str, float]]:
    """Each row with its prediction, the relation and the error of one source chip, per relation."""
    by = defaultdict(list)
    for row, guess in errors:
        if not row.setting.mixed and not row.setting.little:
            by[row.network, row.setting.kind, row.setting.threads].append((row, guess))
    for group in by.values():
        for at, (row, guess) in enumerate(group):
            taken = set()
            for source, said in group[at + 1 :] + group[:at]:
                link = relation(row, source)
                if source.setting.chip != row.setting.chip and (link, source.setting.isa[:3]) not in taken:
                    taken.add((link, source.setting.isa[:3]))
                    yield row, guess, link, source.log_ms - said


def learn(seen: Sequence[Observation]) -> tuple[list[Case], dict[str, float]]:
    """Cases and weights of a table."""
    weights = fit(seen, steps=STEPS)
    alone = list(calibrated(seen))
    errors = [(row, guess) for row, guess, _ in alone]
    cases = list(own_cases(seen, alone))
    cases += [_case(ground, row, guess) for ground, row, guess in blind(seen)]
    cases += [_case("measured", row, guess) for row, guess in repeated(seen)]
    for row, guess, source in known_elsewhere(seen):
        cases.append(replace(_case("transfer", row, guess), relation="table", source=source))
    for row, guess, link, source in transfers(errors):
        cases.append(replace(_case("transfer", row, guess), relation=link, source=source))
    return cases, weights


def _fits(tables: Sequence[Sequence[Observation]]) -> Iterator[dict[str, float]]:
    """Weights of each table, learnt from nothing on all processors."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(_fit, tables)


def _fit(seen: Sequence[Observation]) -> dict[str, float]:
    return fit(seen, steps=STEPS)


def _case(ground: str, row: Observation, guess: float) -> Case:
    strange = novelty(row.features, row.network)
    return Case(ground, row.setting.kind, "", row.network, row.setting.chip, strange, row.log_ms, guess)


def _predict(weights: Mapping[str, float], row: Observation) -> float:
    return float(np.squeeze(predict_log(weights, replace(row.setting, run=""), terms([row.features]))))


def _anchors(rows: Sequence[Observation]) -> dict[object, Observation]:
    found: dict[object, Observation] = {}
    for name in ANCHORS:
        for row in rows:
            if row.network == name:
                found.setdefault(row.setting, row)
    return found


def main() -> None:
    """Writes `cases.csv` and `weights.csv` beside this file."""
    cases, weights = learn(observations(published_rows(), published_networks()))
    write(Path(__file__).parent, cases, weights)


if __name__ == "__main__":
    main()
