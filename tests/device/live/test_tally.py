"""Counts between two decisions."""

from __future__ import annotations

import threading

import pytest

from shoestring.device.governor.nouns import Work
from shoestring.device.live.tally import MOST_EXAMPLES, Tally


def test_nothing_done_is_nothing_known() -> None:
    assert Tally().take() == Work()


def test_means_percentiles_and_failures_since_the_last_look() -> None:
    tally = Tally()
    for number in range(100):
        tally.answered(0.01, number / 100)
    tally.dropped(3)
    tally.dropped()
    tally.failed("int8")
    tally.failed("int8")
    tally.failed("fp32")
    work = tally.take()
    assert (work.answered, work.dropped, work.failed) == (100, 4, (("fp32", 1), ("int8", 2)))
    assert work.busy_s == pytest.approx(0.01)
    assert work.slow_s == pytest.approx(0.9801)
    assert tally.take() == Work()


def test_memory_is_bounded_and_the_newest_count() -> None:
    tally = Tally()
    for _ in range(MOST_EXAMPLES):
        tally.answered(1.0, 1.0)
    for _ in range(MOST_EXAMPLES):
        tally.answered(2.0, 3.0)
    work = tally.take()
    assert work.answered == 2 * MOST_EXAMPLES
    assert (work.busy_s, work.slow_s) == (2.0, 3.0)


def test_no_example_is_lost_between_threads() -> None:
    tally, taken = Tally(), []
    threads = [
        threading.Thread(target=lambda: [tally.answered(0.1, 0.1) for _ in range(2000)] and None) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken.append(tally.take().answered)
    for thread in threads:
        thread.join()
    assert sum(taken) + tally.take().answered == 8000
