"""The power is cut at every write of a device's life; each next start goes on, and nothing is told twice or lost."""

from __future__ import annotations

import itertools
import os
import random
from contextlib import suppress

import pytest

from agents import Board, Collector, Cut, Cutting, Table, hash_of, release, with_delta
from proof_scale import SCALE
from shoestring.base.errors import SlotError
from shoestring.device.agent.reporting import deliver

END = hash_of(1)


LAST = 4


def one_day(board: Board, table: Table, collector: Collector, today: int) -> None:
    """A bundle, one by delta, its revocation, one that is bad, and a quiet day. Each can be lived again."""
    board.boot()
    if today == 0:
        table.says(release(1, 1), 1)
    elif today == 1:
        table.holds_delta(1, 2)
        table.says(with_delta(release(2, 2), 1, 2), 2)
    elif today == 2:
        table.says(release(3, 1, revoked=(hash_of(2),)), 1)
    elif today == 3:
        table.says(release(4, 3), 3)
    board.verdict = SlotError("it answers otherwise", "golden") if today >= 3 else None
    board.turn()
    if today < 3:
        board.slots.begin()
        board.slots.confirm()
    board.agent.watch()
    deliver(board.queue, collector)


def check(board: Board, collector: Collector) -> None:
    """The end is the same for all."""
    assert board.runs == END
    assert collector.twice == []
    numbers = [report.sequence for report in collector.reports]
    assert numbers == list(range(1, len(numbers) + 1)), "a number is missing"
    story = collector.story
    for once in (("refused", hash_of(3)), ("rolled-back", hash_of(2))):
        assert story.count(once) == 1, f"{once} was not told once"
    assert all(one != other for one, other in itertools.pairwise(story)), "the same was told in a row"


def lived(tmp_path, name: str) -> tuple[Board, Table, Collector]:
    table = Table()
    return Board(tmp_path / name / "slots", table), table, Collector()


def live(tmp_path, monkeypatch, name: str, cuts: list[tuple[int, bool]]) -> tuple[Collector, bool]:
    """Live with cuts, each so many writes after the start before it, then without; and look at the end.

    Returns:
        Who collected, and whether the last cut fell within this life.
    """
    board, table, collector = lived(tmp_path, name)
    today, fell = 0, False
    for at, after in cuts:
        with monkeypatch.context() as patched:
            cutting = Cutting(patched, at, after=after)
            with suppress(Cut):
                while today <= LAST:
                    one_day(board, table, collector, today)
                    today += 1
            fell = cutting.count > at
    while today <= LAST:
        one_day(board, table, collector, today)
        today += 1
    one_day(board, table, collector, LAST)
    check(board, collector)
    return collector, fell


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Cuts fall between calls here: what a cut leaves of unsynced bytes is the business of the tests of the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_a_life_without_a_cut(tmp_path, monkeypatch):
    collector, _ = live(tmp_path, monkeypatch, "whole", [])
    assert collector.story == [
        ("trial", hash_of(1)),
        ("good", hash_of(1)),
        ("trial", hash_of(2)),
        ("good", hash_of(2)),
        ("rolled-back", hash_of(2)),
        ("good", hash_of(1)),
        ("refused", hash_of(3)),
    ]


@pytest.mark.parametrize("after", [False, True])
def test_cut_once_anywhere(tmp_path, monkeypatch, after):
    step = max(1, 12 // SCALE)
    for at in itertools.count(0, step):
        _, fell = live(tmp_path, monkeypatch, f"{at}", [(at, after)])
        if not fell:
            break
    assert at > 40
    print(f"{at // step} lives, each cut {'after' if after else 'before'} one of {at} durable steps")


def test_cut_again_and_again(tmp_path, monkeypatch):
    rng = random.Random(11)
    for round_ in range(3 * SCALE):
        cuts = [(rng.randint(0, 25), rng.random() < 0.5) for _ in range(6)]
        live(tmp_path, monkeypatch, f"{round_}", cuts)


def test_saboteur_telling_without_a_mark_tells_twice(tmp_path, monkeypatch):
    """An agent that forgets at each start what it told is found out by the check."""
    from shoestring.device.agent import agent as module
    from shoestring.device.agent.watching import Told

    monkeypatch.setattr(module, "told_of", lambda mark: Told())
    with pytest.raises(AssertionError, match="not told once"):
        live(tmp_path, monkeypatch, "forgetful", [])
