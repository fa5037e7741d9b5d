"""Fits of the tiny encoder with costs that are known, made once for all tests that look at them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import tiny_encoder
from shoestring.costmodel.contest import Measured
from shoestring.costmodel.measure import Measurement
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Timing
from shoestring.fitting import Fitted
from shoestring.fitting.text import fit_text, making, settling

TEXTS = 330
PARTS = (("first", 0.6), ("blocks", 0.7), ("int8", 0.6), ("w4", 0.9))
"""How much of the time each word in a candidate's name leaves."""


def known_costs(
    artefacts: Sequence[Measured],
    reference: str,
    threads: Sequence[int],
    *,
    seconds_each: float = 1.0,
    feeds: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """Costs by the words of a name; nothing is measured."""
    assert feeds is not None and seconds_each > 0 and reference

    def cost(one: Measured) -> Cost:
        ratio = 1.0
        for word, part in PARTS:
            ratio *= part if word in one.name else 1.0
        timings = tuple(
            Timing(count, 8 * ratio / count, 7.9 * ratio / count, 8.2 * ratio / count, 100, ratio, ratio, ratio)
            for count in threads
        )
        return Cost(timings, 90_000_000 + one.size_bytes, one.size_bytes)

    return Measurement({one.name: cost(one) for one in artefacts}, {})


@functools.cache
def root() -> Path:
    """A folder for the whole run of the tests, removed by nobody but the system."""
    return Path(tempfile.mkdtemp(prefix="shoestring-text-"))


def fit_tiny(way: str, max_drop: float | None, folder: Path | None = None, **more: Any) -> Fitted:
    """One fit of the tiny encoder; `folder` keeps its files, else those of the whole run."""
    folder = folder or root()
    classes = len(tiny_encoder.CLASSES) if way == "head" else None
    kind = "head" if way == "head" else "plain"
    model = folder / kind / "model.onnx"
    if not model.exists():
        tiny_encoder.write_encoder(folder / kind, classes=classes)
        if not (folder / "texts").exists():
            tiny_encoder.write_texts(folder / "texts", TEXTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "measure_all", known_costs)
        patch.setattr(making, "PROBE_RUNS", 1)
        return fit_text(
            model,
            more.pop("data", folder / "texts"),
            way=way,
            budget=Budget(max_drop=max_drop),
            runtimes=("onnxruntime",),
            cache=folder / "cache",
            **more,
        )


@functools.cache
def probe_fit() -> Fitted:
    """Classes by a probe, a margin of ten points."""
    return fit_tiny("probe", 0.1)


@functools.cache
def embedding_fit() -> Fitted:
    """Nearest neighbours, a margin of 30 points: the tiny encoder has 32 values and many near ties."""
    return fit_tiny("embedding", 0.3)


@functools.cache
def bundle_of(kind: str) -> Path:
    """The bundle of one of the fits above: `probe` or `embedding`."""
    path = root() / f"{kind}.shoe"
    (probe_fit() if kind == "probe" else embedding_fit()).save(path)
    return path
