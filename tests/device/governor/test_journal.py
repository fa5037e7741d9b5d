"""The journal: every move decided again, every changed line told, and words for people."""

from __future__ import annotations

import json
from dataclasses import replace as changed_to
from datetime import UTC

import pytest

from governing import board, ladder, model_of
from shoestring.base.errors import DataError, StorageError
from shoestring.device.governor import REASONS, Journal, Journalled, Limits, Policy, Work, explain, replay
from shoestring.device.governor.explain import Explained, words
from shoestring.device.governor.journal import Move
from shoestring.device.sensors.readings import Readings
from shoestring.device.simulated.board import Truth
from shoestring.device.simulated.faults import BoardFault

PI4 = "raspberry-pi-4b-4gb"


def write(path, seconds: int = 1800, most_bytes: int = 8 << 20, stop: bool = True) -> int:
    """A run with a lost thermometer in it; returns how many moves it had."""
    governor = Policy(ladder(), Limits(rate=30.0, celsius=75.0), model_of(PI4))
    on = board(PI4, 1, 35.0, truth=Truth(), faults=(BoardFault("lies", 600, 660, -256),))
    plans = {plan.name: plan for plan in governor.plans}
    journal = Journal(path, governor, wall=lambda: 1.8e9 + on.now_s, most_bytes=most_bytes)
    both = Journalled(governor, journal)
    state, work, moves = both.start(), Work(), 0
    while on.now_s < seconds:
        state, decision = both.decide(state, on.look(), work, on.now_s)
        moves += decision.moved
        work = on.advance(1.0, plans.get(decision.rung or ""), decision.rate)
    if stop:
        journal.stopped(on.now_s)
    return moves


def told(path) -> Explained:
    return explain(path, UTC)


def test_every_move_is_decided_again_to_the_same(tmp_path):
    path = tmp_path / "decisions.jsonl"
    moves = write(path)
    found = told(path)
    assert found.replayed.problems == () and found.replayed.notes == ()
    assert found.replayed.moves == moves == len(found.lines) > 3
    assert sum(hours for _, hours in found.hours) == pytest.approx(0.5)
    assert sum(count for _, count in found.by_reason) == moves and dict(found.by_reason)["assume hot"] == 1


def test_words_name_time_rungs_reason_and_numbers(tmp_path):
    path = tmp_path / "decisions.jsonl"
    write(path)
    lines = told(path).lines
    assert lines[0].startswith("08:00:00 rest -> cheap at ") and lines[0].endswith("the first choice")
    hot = next(line for line in lines if "believable" in line)
    assert hot.startswith("08:10:00 cheap at ") and "air of 50 C, limit 75 C" in hot
    climb = next(line for line in lines if "room for more" in line)
    assert "W above idle allowed, forecast " in climb and "limit 75.0 C" in climb


def change(path, old: bytes, new: bytes, line: int) -> None:
    lines = path.read_bytes().split(b"\n")
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    path.write_bytes(b"\n".join(lines))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"answered":', b'"answered":1'),
        (b'"reason":"', b'"reason":"fan'),
        (b'"rung":"cheap"', b'"rung":"dear"'),
        (b'"celsius":', b'"celsius":1'),
        (b'"wall_s":1', b'"wall_s":2'),
        (b"}", b"} "),
    ],
)
def test_a_changed_line_is_told(tmp_path, old, new):
    path = tmp_path / "decisions.jsonl"
    write(path)
    change(path, old, new, 3)
    assert any("line 4" in problem or "line 5" in problem for problem in told(path).replayed.problems)


def test_a_changed_decision_is_told_even_where_the_chain_was_mended(tmp_path):
    """Whoever forges a line can forge the hashes behind it; the policy still says otherwise."""
    from shoestring.base import canonical

    path = tmp_path / "decisions.jsonl"
    write(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["decision"]["rate"] *= 1.5
    before, out = "0" * 64, []
    for line in lines:
        line["before"] = before
        encoded = canonical.encode(line)
        before = canonical.sha256_hex(encoded)
        out.append(encoded)
    path.write_bytes(b"\n".join(out) + b"\n")
    problems = told(path).replayed.problems
    assert len(problems) == 1 and "the policy" in problems[0] and "line 3" in problems[0]


def test_a_line_taken_out_is_told(tmp_path):
    path = tmp_path / "decisions.jsonl"
    write(path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:3] + lines[4:]))
    assert any("not the one that was written" in problem for problem in told(path).replayed.problems)


def test_a_full_file_is_put_aside_and_still_read(tmp_path):
    path = tmp_path / "decisions.jsonl"
    moves = write(path, 3600, most_bytes=9_000)
    assert (tmp_path / "decisions.jsonl.1").exists() and path.stat().st_size <= 9_000
    found = told(path)
    assert found.replayed.problems == () and 0 < found.replayed.moves <= moves
    if found.replayed.moves < moves:
        assert "put aside" in found.replayed.notes[0]


def test_a_power_cut_leaves_half_a_line_and_the_next_start_goes_on(tmp_path):
    path = tmp_path / "decisions.jsonl"
    moves = write(path, stop=False)
    path.write_bytes(path.read_bytes()[:-100])
    assert len(told(path).replayed.notes) == 1
    again = write(path)
    found = told(path)
    assert found.replayed.problems == () and found.replayed.moves == moves - 1 + again
    assert any("line" in note for note in found.replayed.notes)


def test_errors_are_ours(tmp_path):
    with pytest.raises(DataError, match="no decisions"):
        explain(tmp_path / "nothing.jsonl")
    with pytest.raises(StorageError):
        write(tmp_path / "nowhere" / "decisions.jsonl")
    (tmp_path / "not.jsonl").write_bytes(b"\xff\x00 hello\n{}\n")
    assert len(replay.replay(tmp_path / "not.jsonl").problems) >= 1


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_words(reason):
    governor = Policy(ladder(), Limits(rate=30.0, celsius=75.0), model_of(PI4))
    state, decision = governor.decide(governor.start(), Readings(0.0, celsius=50.0), Work(), 0.0)
    move = Move("0" * 64, changed_to(decision, reason=reason), Readings(0.0), state, 0.0, Work())
    line = words(move, UTC)
    assert line.startswith("00:00:00 cheap at ") and "None" not in line and len(line.split(": ", 1)[1]) > 8
