"""Suppression: as a plain comparison of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from shoestring.device.pipelines.heads.found import Found
from shoestring.device.pipelines.nms import MOST_CANDIDATES, suppress
from shoestring.device.pipelines.overlaps import overlaps

import slow_heads
from shoestring.device.pipelines import nms


def crowd(count: int, seed: int, classes: int = 3) -> Found:
    """Clusters of boxes, with some scores alike."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0, 400, (max(1, count // 6), 2))
    centres = middles[rng.integers(0, len(middles), count)] + rng.normal(0, 6, (count, 2))
    half = rng.uniform(10, 30, (count, 2))
    corners = np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
    scores = np.round(rng.uniform(0.1, 1, count), 2).astype(np.float32)
    return Found(corners, scores, rng.integers(0, classes, count))


def plain(found: Found, limit: float) -> list[int]:
    return slow_heads.suppressed(found.corners.tolist(), found.scores.tolist(), found.classes.tolist(), limit)


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.45, 0.9, 1.0])
@pytest.mark.parametrize("count", [0, 1, 2, 40, 300])
def test_it_keeps_what_a_plain_comparison_keeps(count: int, limit: float) -> None:
    for seed in range(4):
        found = crowd(count, seed)
        kept = suppress(found, limit)
        assert kept.tolist() == plain(found, limit)
    if count == 300 and limit == 0.45:
        assert 30 < len(kept) < 270


def test_without_a_look_at_classes_it_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = crowd(100, 1)
    blind = Found(found.corners, found.scores, np.zeros_like(found.classes))
    assert suppress(blind, 0.45).tolist() != plain(found, 0.45)


def test_a_wrong_union_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "overlaps", lambda one, other: overlaps(one, other) * 0.8)
    assert any(suppress(crowd(100, seed), 0.45).tolist() != plain(crowd(100, seed), 0.45) for seed in range(4))


def test_of_very_many_candidates_the_best_are_compared() -> None:
    count = MOST_CANDIDATES + 50
    corners = np.array([[i * 10, 0, i * 10 + 5, 5] for i in range(count)], np.float32)
    scores = np.linspace(0.9, 0.1, count, dtype=np.float32)
    assert suppress(Found(corners, scores, np.zeros(count, np.intp)), 0.5).tolist() == list(range(MOST_CANDIDATES))


def test_boxes_without_an_area_overlap_nothing() -> None:
    points = np.array([[5, 5, 5, 5], [0, 0, 10, 10], [9, 9, 3, 3]], np.float32)
    assert overlaps(points, points).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
