"""Figures for Prometheus of a model that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.serve.metrics import Metric, Requests, Sample, begins, governed, many, one, queued
from shoestring.device.serve.written import FIRST_EDGES_S

if TYPE_CHECKING:
    from shoestring.device.language.fair import FairQueue
    from shoestring.device.language.service import WriterService
    from shoestring.device.serve.guard import Guard
    from shoestring.device.serve.written import Tokens


def collect(service: WriterService, queue: FairQueue, guard: Guard, requests: Requests, *, ready: bool) -> list[Metric]:
    """Everything that is known now; what is not known has no line."""
    counts = service.written.counts()
    refused = {**guard.refused, "queue": counts["refused"]}
    rate = service.written.snapshot()["tokens_per_s"]
    found = [
        *begins(service.name, requests, ready=ready),
        *queued(queue.waiting, queue.most),
        one("answers_under_way", "gauge", "Answers that are being written.", queue.busy),
        many("requests_refused_total", "counter", "Requests not let in.", "reason", refused),
        one("answers_total", "counter", "Answers that were written to their end.", counts["answers"]),
        many(
            "tokens_total", "counter", "Tokens, of answers that came to their end.", "kind",
            {"read": counts["read"], "written": counts["written"]},
        ),
        _firsts(service.written),
        one("rungs_loaded", "gauge", "Rungs in memory.", len(service.garage.loaded)),
        one("rung_loads_total", "counter", "Rungs that were loaded.", service.garage.loads),
        *governed(service.live),
    ]  # fmt: skip
    if rate is not None:
        found.append(one("tokens_per_second", "gauge", "Written by one answer, in the last seconds.", rate))
    return found


def _firsts(tokens: Tokens) -> Metric:
    counts, seconds = tokens.firsts()
    samples, total = [], 0
    for edge, count in zip((*map(str, FIRST_EDGES_S), "+Inf"), counts, strict=True):
        total += count
        samples.append(Sample((("le", edge),), total, "_bucket"))
    samples += [Sample((), seconds, "_sum"), Sample((), total, "_count")]
    words = "From a request to the first piece of its answer, its time in the queue included."
    return Metric("shoestring_first_token_seconds", "histogram", words, tuple(samples))


__all__ = ["collect"]
