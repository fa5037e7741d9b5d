"""One look after the other: fetched, activated, rolled back, refused; and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents import Board, Collector, Table, bundle, hash_of, release, with_delta
from shoestring.base.errors import EngineFaultError, RepositoryError, SlotError, StaleError, UnreachableError
from shoestring.device.agent.reporting import deliver
from shoestring.domain.release import bundle_path, delta_path


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def board(tmp_path, table) -> Board:
    return Board(tmp_path / "slots", table)


@pytest.fixture
def settled(board, table) -> Board:
    """A board that runs bundle 1, for good."""
    table.says(release(1, 1), 1)
    assert board.turn() == "activated"
    board.slots.begin()
    board.slots.confirm()
    board.agent.watch()
    return board


def told(board: Board) -> list[tuple[str, str]]:
    collector = Collector()
    while board.queue.waiting:
        deliver(board.queue, collector)
    return collector.story


def test_the_first_bundle_of_a_new_device(settled):
    assert settled.runs == hash_of(1)
    assert told(settled) == [("trial", hash_of(1)), ("good", hash_of(1))]
    assert settled.turn() == "stayed"
    assert list((settled.root / "agent" / "downloads").iterdir()) == []


def test_nothing_is_done_where_nothing_is_released(board):
    assert board.turn() == "stayed"
    assert told(board) == []


def test_a_delta_is_taken_where_it_fits(settled, table):
    table.holds_delta(1, 2)
    table.says(with_delta(release(2, 2), 1, 2), 2)
    table.asked.clear()
    assert settled.turn() == "activated"
    assert settled.runs == hash_of(2)
    assert table.asked == [delta_path(hash_of(1), hash_of(2))]


@pytest.mark.parametrize("data", [b"no delta at all", None])
def test_a_delta_of_no_use_gives_way_to_the_whole_and_it_is_told(settled, table, data):
    made = with_delta(release(2, 2), 1, 2, data)
    if data is not None:
        table.holds_delta(1, 2, data)
    table.says(made, 2)
    assert settled.turn() == "activated"
    assert settled.runs == hash_of(2)
    assert bundle_path(hash_of(2)) in table.asked
    assert "the delta was of no use" in settled.said[-1]


def test_a_delta_of_no_use_is_not_fetched_again_when_the_whole_is_cut(settled, table):
    table.holds_delta(1, 2, b"no delta at all")
    table.says(with_delta(release(2, 2), 1, 2, b"no delta at all"))
    table.asked.clear()
    assert settled.turn() == "failed"  # the whole is not there yet
    settled.boot()
    table.says(table.now, 2)
    assert settled.turn() == "activated"
    assert table.asked == [delta_path(hash_of(1), hash_of(2)), bundle_path(hash_of(2))]
    assert "the delta was of no use" in settled.said[-1]


def test_what_was_fetched_before_a_cut_is_not_fetched_again(settled, table):
    table.says(release(2, 2), 2)
    settled.verdict = EngineFaultError("no process can be started", "crashed")
    assert settled.turn() == "failed"
    table.asked.clear()
    settled.verdict = None
    settled.boot()
    assert settled.turn() == "activated"
    assert table.asked == []


def test_a_bundle_that_fails_its_golden_answers_is_never_tried_again(settled, table):
    table.says(release(2, 2), 2)
    settled.verdict = SlotError("rung int8 answers otherwise here", "golden")
    assert settled.turn() == "refused"
    settled.verdict = None
    assert [settled.turn() for _ in range(3)] == ["refused"] * 3
    settled.boot()
    assert settled.turn() == "refused"
    assert settled.runs == hash_of(1)
    assert told(settled)[2:] == [("refused", hash_of(2))]


def test_a_bundle_without_room_rests_and_is_welcome_later(settled, table):
    table.says(release(2, 2), 2)
    settled.verdict = SlotError("no room", "space")
    assert settled.turn() == "refused"
    settled.verdict = None
    assert settled.turn() == "stayed"
    settled.now_s += 4 * 900.0
    assert settled.turn() == "activated"
    assert told(settled)[2:] == [("refused", hash_of(2)), ("trial", hash_of(2))]


def test_a_server_that_finds_a_bundle_bad_is_told_of_with_its_release(settled, table):
    table.says(release(2, 2), 2)
    settled.turn()
    settled.slots.begin()
    settled.slots.fail("crashed", "it crashed at the third answer")
    settled.boot()
    settled.agent.watch()
    collector = Collector()
    deliver(settled.queue, collector)
    last = collector.reports[-2:]
    assert [(one.state, one.bundle_sha256, one.counter) for one in last] == [
        ("rolled-back", hash_of(2), 2),
        ("good", hash_of(1), 1),
    ]
    assert "third answer" in last[0].reason
    assert last[0].running_sha256 == hash_of(1)
    assert settled.turn() == "refused"
    assert settled.runs == hash_of(1)


def test_a_revoked_bundle_gives_way_at_once_without_any_download(settled, table):
    table.says(release(2, 2), 2)
    settled.turn()
    settled.slots.begin()
    settled.slots.confirm()
    table.files.clear()
    table.says(release(3, 1, revoked=(hash_of(2),)))
    assert settled.turn() == "rolled back"
    assert settled.runs == hash_of(1)
    assert told(settled)[-2:] == [("rolled-back", hash_of(2)), ("good", hash_of(1))]
    assert settled.turn() == "stayed"


def test_a_revoked_bundle_that_is_all_there_is_runs_until_its_successor_is_here(settled, table):
    table.says(release(2, 2, revoked=(hash_of(1),)))
    assert settled.turn() == "failed"  # the new one cannot be fetched yet
    assert settled.runs == hash_of(1)
    table.says(table.now, 2)
    assert settled.turn() == "activated"
    settled.slots.begin()
    settled.slots.confirm()
    assert settled.turn() == "stayed"
    assert settled.slots.previous() is None, "a revoked bundle is no way back once its successor proved itself"
    assert ("refused", hash_of(1)) not in told(settled)


def test_back_to_the_bundle_before_without_a_revocation_needs_no_download(settled, table):
    table.says(release(2, 2), 2)
    settled.turn()
    settled.slots.begin()
    settled.slots.confirm()
    table.files.clear()
    table.says(release(3, 1))
    assert settled.turn() == "activated"
    assert settled.runs == hash_of(1)


def test_a_new_release_takes_the_place_of_a_trial(settled, table):
    table.says(release(2, 2), 2)
    settled.turn()
    table.says(release(3, 3), 3)
    assert settled.turn() == "activated"
    assert settled.runs == hash_of(3)
    previous = settled.slots.previous()
    assert previous is not None
    assert previous.sha256 == hash_of(1)


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (StaleError("its time was over 3 days ago"), "stale"),
        (RepositoryError("a signature does not hold", rule="signature"), "bad-repository"),
        (UnreachableError("no way to it"), "unreachable"),
    ],
)
def test_a_repository_in_trouble_is_told_once_and_what_runs_goes_on(settled, table, trouble, state):
    table.says(release(2, 2), 2)
    table.trouble = trouble
    assert [settled.turn() for _ in range(3)] == ["failed"] * 3
    assert settled.runs == hash_of(1)
    assert told(settled)[2:] == [(state, "")]
    table.trouble = None
    settled.turn()
    assert settled.runs == hash_of(2)


def test_a_repository_that_is_well_again_is_told_too(settled, table):
    table.trouble = UnreachableError("no way to it")
    settled.turn()
    settled.boot()
    table.trouble = None
    settled.turn()
    settled.turn()
    assert told(settled)[2:] == [("unreachable", ""), ("good", hash_of(1))]


def test_an_older_release_is_stale_and_two_under_one_number_are_bad(settled, table):
    table.says(release(5, 2), 2)
    settled.turn()
    table.says(release(4, 3), 3)
    assert settled.turn() == "refused"
    table.says(release(5, 3), 3)
    settled.boot()
    assert settled.turn() == "refused"
    assert settled.runs == hash_of(2)
    assert [state for state, _ in told(settled)[-2:]] == ["stale", "bad-repository"]


@pytest.mark.parametrize("changes", [{"chip": "coral-dev-board"}, {"minimum_version": "99.0.0"}])
def test_bundles_that_are_not_for_this_device_are_told_once_and_not_fetched(settled, table, changes):
    table.says(release(2, 2, **changes), 2)
    table.asked.clear()
    assert [settled.turn() for _ in range(3)] == ["refused"] * 3
    settled.boot()
    settled.turn()
    assert table.asked == []
    assert told(settled)[2:] == [("refused", hash_of(2))]


def test_what_is_on_its_way_for_another_release_makes_room(settled, table):
    downloads = settled.root / "agent" / "downloads"
    (downloads / f".{hash_of(9)[:60]}.part").write_bytes(b"x" * 100)
    table.says(release(2, 2), 2)
    assert settled.turn() == "activated"
    assert list(downloads.iterdir()) == []


def test_there_must_be_room_before_anything_is_fetched(settled, table, monkeypatch):
    from shoestring.device.agent import fetching

    monkeypatch.setattr(fetching, "MARGIN_BYTES", 1 << 60)
    table.says(release(2, 2), 2)
    table.asked.clear()
    assert settled.turn() == "refused"
    assert table.asked == []
    assert "of room, fetching takes" in settled.said[-1]


def test_a_repository_that_gives_other_bytes_than_it_signed_for_never_gets_them_run(settled, table):
    """The client holds bytes to their hash; slots do so again: a double that does not is caught there."""
    table.says(release(2, 2))
    table.files[bundle_path(hash_of(2))] = bundle(3)
    assert settled.turn() == "refused"
    assert settled.runs == hash_of(1)


def test_a_promoted_release_with_the_same_bundle_is_told_with_its_number(settled, table):
    told(settled)
    table.says(release(7, 1), 1)
    assert settled.turn() == "stayed"
    collector = Collector()
    deliver(settled.queue, collector)
    assert [(one.state, one.counter) for one in collector.reports] == [("good", 7)]
    settled.boot()
    settled.turn()
    assert settled.queue.waiting == ()


def test_a_heartbeat_says_how_it_stands(settled):
    told(settled)
    settled.agent.watch()
    assert settled.queue.waiting == ()
    settled.agent.watch(heartbeat=True)
    assert told(settled) == [("good", hash_of(1))]


def test_damaged_memory_is_begun_anew_and_slots_still_refuse_what_is_older(settled, table):
    table.says(release(5, 2), 2)
    settled.turn()
    (settled.root / "agent" / "agent.json").write_bytes(b"{")
    settled.boot()
    assert "is damaged" in settled.said[-1]
    table.says(replace(release(4, 3)), 3)
    assert settled.turn() == "refused"
    assert settled.runs == hash_of(2)
