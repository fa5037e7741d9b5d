"""Predicts the rows of a CSV file: columns of the shipped table, or of the public one that it was made from."""

from __future__ import annotations

from collections import Counter

from shoestring.chips.published import published_networks
from shoestring.chips.published.table_chips import table_chips
from shoestring.costmodel.latency.predict import predict_latency
from shoestring.domain.chip import Chip
from shoestring.domain.estimate import Estimate

_EMPTY = {
    "host": (), "isa": (), "isa_source": None, "clusters": (), "memory": None, "usable": None, "bandwidth": None,
    "peaks": (), "precisions": (), "accelerators": (), "runtimes": (), "power": None, "coolings": (), "throttle": (),
    "ambient_low": None, "ambient_high": None, "price": None, "hourly": None, "notes": (),
}  # fmt: skip


def bare_chip(name: str) -> Chip:
    """A chip of the table, of which no more is needed than its name there."""
    return Chip(name=name, title=name, kind="board", soc=name, rows=(name,), **_EMPTY)  # type: ignore[arg-type]


def blind_cases(lines: list[dict[str, str]]) -> tuple[list[tuple[str, float, Estimate]], Counter[str]]:
    """What each row measured beside what is predicted, by ground and kind; and why rows got no claim."""
    networks = published_networks()
    found, refused = [], Counter[str]()
    for line in lines:
        if line["device"] != "cpu" or not line["latency_ms"]:
            refused["not a processor's latency"] += 1
            continue
        features = networks.get((line["model"], line["input"]))
        if features is None or line["chip"] not in table_chips():
            refused["no counts of the network, or cores unknown"] += 1
            continue
        threads = int(float(line["threads"])) if line["threads"] else None
        answer = predict_latency(
            features, bare_chip(line["chip"]), runtime=line["runtime"], precision=line["precision"], threads=threads
        )
        if isinstance(answer, Estimate):
            kind = "int8" if line["precision"] == "int8" else "fp"
            found.append((f"{answer.ground}, {kind}", float(line["latency_ms"]), answer))
        else:
            refused[answer.why] += 1
    return found, refused
