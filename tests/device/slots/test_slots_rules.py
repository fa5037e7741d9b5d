"""The record's moves, one by one: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory import make_hash
from shoestring.base.errors import SlotError, UsageError
from shoestring.device.slots import rules
from shoestring.device.slots.nouns import EMPTY, GOOD, MAX_REFUSED, MAX_STARTS, MAX_WORDS, NOTHING, TRIAL, Kept, Record

OLD, NEW, NEXT = (Kept(slot, make_hash(name), 100, name, 0) for slot, name in (("a", "old"), ("b", "new"), ("a", "x")))
SETTLED = replace(NOTHING, state=GOOD, active=OLD)
ON_TRIAL = replace(NOTHING, state=TRIAL, active=NEW, previous=OLD)
FIRST = replace(NOTHING, state=TRIAL, active=NEW)


def why(kept: Kept, reason: str = "crashed") -> rules.Refusal:
    return rules.refusal(kept.sha256, reason, "words", 7.9)


def test_a_new_bundle_is_on_trial_and_the_good_one_is_gone_back_to() -> None:
    record = rules.activated(SETTLED, NEW)
    assert (record.state, record.active, record.previous, record.starts) == (TRIAL, NEW, OLD, 0)


def test_a_bundle_on_trial_is_never_gone_back_to() -> None:
    assert rules.activated(FIRST, replace(NEXT, slot="a")).previous is None


def test_the_active_slot_is_not_written_over() -> None:
    with pytest.raises(SlotError, match="slot a holds the active bundle"):
        rules.activated(SETTLED, NEXT)


def test_room_is_made_in_the_slot_that_is_not_started() -> None:
    assert rules.making_room(NOTHING) == (NOTHING, "a")
    assert rules.making_room(SETTLED) == (SETTLED, "b")
    good = replace(SETTLED, active=NEW, previous=OLD)
    assert rules.making_room(good) == (replace(good, previous=None), "a")


def test_a_trial_gives_way_to_a_new_bundle_and_is_not_refused() -> None:
    assert rules.making_room(ON_TRIAL) == (SETTLED, "b")
    assert rules.making_room(FIRST) == (FIRST, "a")


def test_starts_of_a_trial_are_counted_and_one_too_many_ends_it() -> None:
    record = ON_TRIAL
    for count in range(1, MAX_STARTS + 1):
        record = rules.started(record, 0)
        assert (record.starts, record.active) == (count, NEW)
    record = rules.started(record, 5)
    assert (record.state, record.active, record.previous) == (GOOD, OLD, None)
    assert rules.refused(record, NEW.sha256) is not None


def test_starts_of_a_good_bundle_are_not_counted() -> None:
    assert rules.started(SETTLED, 0) == SETTLED
    assert rules.started(NOTHING, 0) == NOTHING


def test_confirming_ends_the_trial_and_keeps_the_way_back() -> None:
    record = rules.confirmed(replace(ON_TRIAL, starts=2))
    assert (record.state, record.active, record.previous, record.starts) == (GOOD, NEW, OLD, 0)
    assert rules.confirmed(record) == record
    assert rules.confirmed(NOTHING) == NOTHING


def test_failing_goes_back_and_refuses() -> None:
    record = rules.failed(ON_TRIAL, why(NEW))
    assert (record.state, record.active, record.previous) == (GOOD, OLD, None)
    assert record.refused == (why(NEW),)
    with pytest.raises(SlotError, match="refused on this device before"):
        rules.activated(record, NEW)


def test_the_first_trial_has_nothing_to_go_back_to() -> None:
    record = rules.failed(FIRST, why(NEW))
    assert (record.state, record.active) == (EMPTY, None)


def test_the_only_good_bundle_never_goes() -> None:
    with pytest.raises(SlotError, match="only good one"):
        rules.failed(SETTLED, why(OLD))
    with pytest.raises(SlotError, match="only good one"):
        rules.failed(rules.failed(ON_TRIAL, why(NEW)), why(OLD))


def test_a_good_bundle_may_be_gone_back_from() -> None:
    record = rules.failed(rules.confirmed(ON_TRIAL), why(NEW))
    assert (record.state, record.active, record.previous) == (GOOD, OLD, None)


def test_a_damaged_file_leaves_the_record_without_a_refusal() -> None:
    assert rules.damaged(ON_TRIAL, "b") == SETTLED
    assert rules.damaged(ON_TRIAL, "a") == replace(ON_TRIAL, previous=None)
    assert rules.damaged(SETTLED, "a") == replace(NOTHING, active=None, state=EMPTY)
    assert rules.damaged(SETTLED, "b") == SETTLED


def test_revoked_bundles_go_wherever_they_are() -> None:
    both = rules.revoked(ON_TRIAL, {OLD.sha256, NEW.sha256}, 0)
    assert (both.state, both.active) == (EMPTY, None)
    assert {one.sha256 for one in both.refused} == {OLD.sha256, NEW.sha256}
    assert rules.revoked(ON_TRIAL, {OLD.sha256}, 0).previous is None
    assert rules.revoked(ON_TRIAL, {NEW.sha256}, 0).active == OLD
    assert rules.revoked(ON_TRIAL, {NEXT.sha256}, 0) == ON_TRIAL


def test_the_oldest_refusals_make_room() -> None:
    record: Record = NOTHING
    hashes = [make_hash(f"bad {number}") for number in range(MAX_REFUSED + 3)]
    for sha256 in hashes:
        record = rules.with_refusal(record, rules.refusal(sha256, "golden", "", 0))
    assert [one.sha256 for one in record.refused] == hashes[3:]
    again = rules.with_refusal(record, rules.refusal(hashes[10], "hung", "", 1))
    assert len(again.refused) == MAX_REFUSED
    assert again.refused[-1].reason == "hung"


def test_words_of_a_refusal_are_one_printable_line() -> None:
    made = rules.refusal(make_hash("x"), "golden", "a\n\x1b[31mb" + "c" * 1000, -3.0)
    assert made.words.startswith("a ?[31mb")
    assert len(made.words) == MAX_WORDS
    assert made.at_s == 0
    with pytest.raises(UsageError, match="no reason"):
        rules.refusal(make_hash("x"), "bored", "", 0)


def test_forgetting_needs_one_that_is_meant() -> None:
    record = rules.failed(ON_TRIAL, why(NEW))
    for start in ("", "zz"):
        with pytest.raises(UsageError, match="0 refused bundles"):
            rules.forgotten(record, start)
    assert rules.forgotten(record, NEW.sha256[:8]).refused == ()


def test_the_highest_counter_stays() -> None:
    record = rules.activated(SETTLED, replace(NEW, counter=7))
    assert record.counter == 7
    back = rules.failed(record, why(NEW))
    assert (back.counter, back.active) == (7, OLD)
