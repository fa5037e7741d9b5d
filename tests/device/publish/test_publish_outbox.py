"""What waits: states are their newest value, events are bounded."""

from __future__ import annotations

from shoestring.device.publish.outbox import Message, Outbox


def drain(outbox: Outbox) -> list[Message]:
    found = []
    while (message := outbox.take(0.0)) is not None:
        found.append(message)
    return found


def test_of_a_state_only_the_newest_value_is_sent_and_the_same_one_once():
    outbox = Outbox(3)
    for value in ("1", "2", "2"):
        outbox.state("t", value)
    assert drain(outbox) == [Message("t", "2", retain=True)]
    outbox.state("t", "2")
    assert outbox.empty and outbox.lost == 0


def test_of_events_the_oldest_go_and_are_counted():
    outbox = Outbox(3)
    for value in "abcde":
        outbox.event("e", value)
    assert [message.payload for message in drain(outbox)] == ["c", "d", "e"]
    assert outbox.lost == 2


def test_states_come_before_events_and_all_of_them_again_after_the_broker_was_away():
    outbox = Outbox(3)
    outbox.event("e", "x")
    outbox.state("a", "1")
    outbox.state("b", "1")
    assert [message.topic for message in drain(outbox)] == ["a", "b", "e"]
    outbox.renew()
    assert [message.topic for message in drain(outbox)] == ["a", "b"]


def test_what_could_not_be_sent_waits_again_unless_it_has_changed():
    outbox = Outbox(3)
    outbox.state("a", "1")
    taken = outbox.take(0.0)
    outbox.state("a", "2")
    outbox.back(taken)
    assert [message.payload for message in drain(outbox)] == ["2"]
    outbox.back(Message("a", "2", retain=True))
    assert [message.payload for message in drain(outbox)] == ["2"]
    outbox.back(Message("e", "x", retain=False))
    assert outbox.empty and outbox.lost == 1
