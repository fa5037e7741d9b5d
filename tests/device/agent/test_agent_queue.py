"""Reports wait on the disk, each under a number that never comes twice, whatever is cut where."""

from __future__ import annotations

import itertools
import os
import random
from contextlib import suppress

import pytest

from agents import Cut, Cutting
from proof_scale import SCALE
from shoestring.base import disk
from shoestring.base.errors import StorageError
from shoestring.device.agent.queue import DONE, ReportQueue


def fill(queue: ReportQueue, count: int) -> list[int]:
    return [queue.add(lambda number: f"report {number}", f"mark {i}") for i in range(count)]


def drain(queue: ReportQueue) -> list[str]:
    seen = []
    while (entry := queue.first()) is not None:
        seen.append(entry.envelope)
        queue.sent(entry)
    return seen


def test_in_order_and_never_twice(tmp_path):
    queue = ReportQueue(tmp_path)
    assert (queue.mark, queue.waiting, queue.first()) == ("", (), None)
    assert fill(queue, 3) == [1, 2, 3]
    assert drain(queue) == ["report 1", "report 2", "report 3"]
    again = ReportQueue(tmp_path)
    assert (again.mark, again.waiting) == ("mark 2", ())
    assert fill(again, 1) == [4]
    assert again.done.sent == 3


def test_they_outlive_the_process(tmp_path):
    fill(ReportQueue(tmp_path), 3)
    queue = ReportQueue(tmp_path)
    assert (queue.mark, queue.waiting) == ("mark 2", (1, 2, 3))
    assert drain(queue) == ["report 1", "report 2", "report 3"]


def test_the_oldest_make_room_and_are_counted(tmp_path):
    queue = ReportQueue(tmp_path, most=3)
    fill(queue, 10)
    assert queue.waiting == (8, 9, 10)
    assert (queue.done.dropped, queue.done.through) == (7, 7)
    assert drain(ReportQueue(tmp_path, most=3)) == ["report 8", "report 9", "report 10"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_refused_for_what_it_is_does_not_hold_up_the_rest(tmp_path):
    queue = ReportQueue(tmp_path)
    fill(queue, 2)
    queue.rejected(queue.first())
    assert drain(queue) == ["report 2"]
    assert (queue.done.rejected, queue.done.sent) == (1, 1)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff" * 100, b" " * 70_000])
def test_a_damaged_report_is_counted_and_passed_over(tmp_path, damage):
    fill(ReportQueue(tmp_path), 3)
    (tmp_path / f"{2:012d}.json").write_bytes(damage)
    queue = ReportQueue(tmp_path)
    assert drain(queue) == ["report 1", "report 3"]
    assert queue.done.damaged == 1
    assert fill(queue, 1) == [4]


def test_a_report_under_another_ones_number_is_damaged(tmp_path):
    fill(ReportQueue(tmp_path), 2)
    (tmp_path / f"{2:012d}.json").write_bytes((tmp_path / f"{1:012d}.json").read_bytes())
    assert drain(ReportQueue(tmp_path)) == ["report 1"]


def test_a_damaged_count_is_no_count(tmp_path):
    queue = ReportQueue(tmp_path)
    fill(queue, 2)
    drain(queue)
    (tmp_path / DONE).write_bytes(b"{}")
    with pytest.raises(StorageError, match="is damaged") as caught:
        ReportQueue(tmp_path)
    assert "new device" in caught.value.hint


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    folder, outside = tmp_path / "queue", tmp_path / "outside.json"
    fill(ReportQueue(folder), 1)
    outside.write_bytes((folder / f"{1:012d}.json").read_bytes())
    (folder / f"{1:012d}.json").unlink()
    (folder / f"{1:012d}.json").symlink_to(outside)
    queue = ReportQueue(folder)
    assert drain(queue) == []
    assert queue.done.damaged == 1


def test_a_full_disk_leaves_everything_as_it_was(tmp_path, monkeypatch):
    queue = ReportQueue(tmp_path)
    fill(queue, 1)

    def full(path, data):
        raise StorageError(f"cannot write {path}: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "write_bytes", full)
        with pytest.raises(StorageError):
            fill(queue, 1)
    assert (queue.waiting, queue.mark) == ((1,), "mark 0")
    assert fill(queue, 1) == [2]


@pytest.fixture
def no_waiting(monkeypatch):
    """Cuts fall between calls here: what a cut leaves of unsynced bytes is the business of the tests of the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class World:
    """What a collector saw: each number with what came under it."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}
        self.twice: list[int] = []

    def take(self, sequence: int, envelope: str) -> None:
        if self.seen.setdefault(sequence, envelope) != envelope:
            self.twice.append(sequence)


def life(folder, world: World, facts: list[str], most: int) -> None:
    """One process: it tells what was not told yet, and sends."""
    queue = ReportQueue(folder, most)
    for i in (None, *range(int(queue.mark or 0), len(facts))):
        if i is not None:
            queue.add(lambda number, i=i: facts[i], str(i + 1))
        while (entry := queue.first()) is not None and (i is None or i % 2 or i == len(facts) - 1):
            world.take(entry.sequence, entry.envelope)
            queue.sent(entry)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("most", [3, 100])
def test_cut_at_every_write_nothing_is_told_twice_or_lost(no_waiting, tmp_path, monkeypatch, after, most):
    facts = [f"fact {i}" for i in range(8)]
    for at in itertools.count():
        world, folder = World(), tmp_path / f"{at}"
        with monkeypatch.context() as patched:
            cutting = Cutting(patched, at, after=after)
            with suppress(Cut):
                life(folder, world, facts, most)
            done = cutting.count <= at
        life(folder, world, facts, most)
        assert world.twice == []
        assert list(world.seen.values()) == facts
        if done:
            break
    assert at > 20


def test_cut_again_and_again_at_random_writes(no_waiting, tmp_path, monkeypatch):
    rng = random.Random(7)
    for round_ in range(5 * SCALE):
        world, folder, facts = World(), tmp_path / f"{round_}", []
        for _ in range(20):
            facts += [f"fact {len(facts)}" for _ in range(rng.randint(0, 3))]
            with monkeypatch.context() as patched:
                Cutting(patched, rng.randint(0, 6), after=rng.random() < 0.5)
                with suppress(Cut):
                    life(folder, world, facts, 100)
        life(folder, world, [*facts, "one", "two"], 100)
        assert world.twice == []
        assert list(world.seen.values()) == [*facts, "one", "two"]


def test_saboteur_a_queue_that_sends_before_it_keeps_tells_two_things_under_one_number(tmp_path, monkeypatch):
    """The order that the queue stands on, turned round: it is found out by the same look at the world."""
    world = World()
    for at in range(12):
        folder = tmp_path / f"{at}"
        for word in ("first", "second"):
            with monkeypatch.context() as patched:
                Cutting(patched, at if word == "first" else None)
                with suppress(Cut):
                    queue = ReportQueue(folder)
                    number = max([queue.done.through, *queue.waiting]) + 1
                    world.take(number, f"{at} {word}")
                    queue.add(lambda number, word=word, at=at: f"{at} {word}", word)
        if world.twice:
            break
        world = World()
    assert world.twice
