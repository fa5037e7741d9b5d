"""Intervals cover what they say, on networks that they had not seen."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.costmodel.latency import intervals
from shoestring.costmodel.latency.cases import Case
from shoestring.costmodel.latency.intervals import FEWEST, Group, half_width, published_groups, share, spread


def _clear() -> None:
    for cached in (spread, share, published_groups):
        cached.cache_clear()


def _cases(size: float, count: int = 400) -> tuple[Case, ...]:
    random = np.random.default_rng(7)
    novel = random.uniform(0, 1, count)
    off = random.normal(0, size * (0.2 + novel))
    return tuple(
        Case("calibrated", "fp", "", f"n{at % 20}", "c", float(novel[at]), float(off[at]), 0.0) for at in range(count)
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Sets the cases that intervals learn from."""

    def use(cases: tuple[Case, ...]) -> None:
        _clear()
        monkeypatch.setattr(intervals, "published_cases", lambda: cases)

    yield use
    monkeypatch.undo()
    _clear()


GROUP = Group("calibrated", "fp")


def test_covers_fresh_draws(made) -> None:  # type: ignore[no-untyped-def]
    """Nine in ten errors of networks left out lie inside."""
    cases = _cases(0.3)
    made(cases)
    inside = [abs(case.log_ms) <= (half_width(GROUP, case.novelty, case.network) or 0) for case in cases]
    assert 0.86 <= np.mean(inside) <= 0.94


def test_strange_networks_get_wider_intervals(made) -> None:  # type: ignore[no-untyped-def]
    made(_cases(0.3))
    assert (half_width(GROUP, 1.0) or 0) > 2 * (half_width(GROUP, 0.1) or 9)


def test_too_few_cases_make_no_interval(made) -> None:  # type: ignore[no-untyped-def]
    made(_cases(0.3, FEWEST - 1))
    assert half_width(GROUP, 0.5) is None


def test_larger_errors_make_wider_intervals(made) -> None:  # type: ignore[no-untyped-def]
    """An interval that did not follow its errors would fail here."""
    made(_cases(0.1))
    narrow = half_width(GROUP, 0.5)
    made(_cases(0.4))
    assert narrow is not None
    assert (half_width(GROUP, 0.5) or 0) > 3 * narrow


def test_the_shipped_intervals_cover_in_every_ground() -> None:
    """Each ground's and kind's cases, each bounded by the other networks' errors."""
    for group, cases in published_groups().items():
        if spread(group) is None:
            continue
        off = []
        for case in cases:
            taken = share(group, case.network) if group.ground == "transfer" else 0.0
            half = half_width(group, case.novelty, case.network)
            if half is not None:
                off.append(abs(case.log_ms - case.predicted - taken * case.source) <= half)
        if off:
            assert 0.75 <= np.mean(off) <= 0.99, group
