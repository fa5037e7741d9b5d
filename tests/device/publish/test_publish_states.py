"""What others are told, and what Home Assistant makes of it."""

from __future__ import annotations

import json

import pytest

from shoestring.base.errors import UsageError
from shoestring.device.answers import Answer
from shoestring.device.governor.nouns import Decision, Work
from shoestring.device.pipelines.nouns import Box, Result
from shoestring.device.publish.discovery import Device, messages
from shoestring.device.publish.listener import watched_of
from shoestring.device.publish.states import HOLD_S, UNKNOWN, Watch
from shoestring.device.sensors.readings import Readings

DEVICE = Device("porch", "yard", ("person", "traffic light"))
PERSON, LIGHT = ("occupancy", "person"), ("occupancy", "traffic_light")


def result(at_s: float, *labels: str) -> Result:
    boxes = tuple(Box(0.1, 0.1, 0.2, 0.2, 0, label, 0.9) for label in labels)
    return Result(0, at_s - 0.01, at_s, "a", "model", boxes)


def tick(at_s: float, rung: str | None = "a", answered: int = 0, **readings: float) -> tuple:
    return Decision(at_s, rung, 5.0, "fits", moved=False), Readings(at_s, **readings), Work(answered=answered)


def test_a_class_is_there_at_once_and_goes_when_it_was_not_seen_for_a_while():
    watch = Watch(DEVICE)
    assert watch.result(result(0.0))[0][PERSON] == "OFF"
    assert watch.result(result(0.04, "person"))[0][PERSON] == "ON"
    assert watch.result(result(0.08))[0][PERSON] == "ON", "missed for one frame"
    assert watch.result(result(0.04 + HOLD_S))[0][PERSON] == "ON"
    states = watch.result(result(0.05 + HOLD_S))[0]
    assert (states[PERSON], states[LIGHT]) == ("OFF", "OFF")


def test_where_no_picture_comes_nobody_is_said_to_be_there_or_not():
    watch = Watch(DEVICE)
    assert watch.decision(*tick(0.0))[PERSON] == UNKNOWN
    watch.result(result(1.0, "person"))
    assert watch.decision(*tick(1.0 + HOLD_S))[PERSON] == "ON"
    assert watch.decision(*tick(1.1 + HOLD_S))[PERSON] == UNKNOWN


def test_counts_name_what_was_watched_for_even_when_none_is_there():
    states, due = Watch(DEVICE).result(result(0.0, "person", "person", "dog"))
    assert due
    told = json.loads(states["objects",])
    assert told == {"total": 3, "classes": {"person": 2, "dog": 1, "traffic light": 0}}


def test_a_topic_gets_a_message_a_second_however_many_frames_there_are():
    watch = Watch(DEVICE)
    due = [watch.result(result(number / 25, "person"))[1] for number in range(75)]
    assert sum(due) == 3 and due[0] and due[25] and due[50]


def test_health_holds_what_is_known_and_only_that():
    watch = Watch(DEVICE)
    first = json.loads(watch.decision(*tick(0.0, celsius=61.23))["device",])
    assert first == {"rung": "a", "reason": "fits", "rate": None, "celsius": 61.2, "watts": None}
    assert ("device",) not in watch.decision(*tick(1.0, answered=5))
    assert ("device",) not in watch.decision(*tick(2.0, answered=5))
    later = json.loads(watch.decision(*tick(5.0, answered=15, watts=4.5))["device",])
    assert (later["rate"], later["celsius"], later["watts"]) == (5.0, None, 4.5)
    moved = json.loads(watch.decision(*tick(6.0, None, answered=2))["device",])
    assert (moved["rung"], moved["rate"]) == ("resting", 2.0)


def test_a_classifier_tells_its_answer():
    device = Device("porch", "animals", ("cat",), detects=False)
    answer = Answer("cat", 1, 0.91234, ((1, "cat", 0.91234),))
    states, _ = Watch(device).result(Result(0, 0.0, 0.1, "a", "model", answer=answer))
    assert json.loads(states["answer",]) == {"label": "cat", "score": 0.9123}
    assert states["occupancy", "cat"] == "ON"
    assert not any("objects" in topic for topic in messages(device))


def test_every_entity_is_whole_and_points_at_a_topic_that_is_told():
    device = Device("porch", "yard", ("person", "Person!", 'odd "class" é'))
    told = messages(device)
    assert len({json.loads(payload)["unique_id"] for payload in told.values()}) == len(told) == 1 + 3 + 3 + 4
    watch = Watch(device)
    topics = {device.topic(*parts) for parts in (watch.result(result(0.0))[0] | watch.decision(*tick(0.1)))}
    for topic, payload in told.items():
        prefix, component, node, identity, last = topic.split("/")
        assert (prefix, node, last) == ("homeassistant", "shoestring_porch", "config")
        keys = json.loads(payload)
        assert keys["state_topic"] in topics
        assert keys["availability_topic"] == "shoestring/porch/status"
        assert keys["device"]["identifiers"] == ["shoestring_porch"]
        assert keys["unique_id"] == f"shoestring_porch_{identity}"
        assert (component == "binary_sensor") == ("payload_on" in keys)
        assert "value_template" in keys or component == "binary_sensor"


def test_the_templates_find_their_values():
    jinja2 = pytest.importorskip("jinja2", reason="the language of Home Assistant's templates")
    device = Device("porch", "yard", ('odd "class" é\\',))
    watch = Watch(device)
    states = watch.result(result(0.0, device.watched[0]))[0] | watch.decision(*tick(0.1, celsius=40.0))
    found = {}
    for payload in messages(device).values():
        keys = json.loads(payload)
        if "value_template" in keys:
            value = json.loads(states[tuple(keys["state_topic"].split("/")[2:])])
            found[keys["name"]] = jinja2.Template(keys["value_template"]).render(value_json=value)
    assert found == {
        "Objects": "1", 'odd "class" é\\ count': "1", "Rung": "a", "Rate": "None", "Temperature": "40.0",
        "Power": "None",
    }  # fmt: skip


def test_watched_classes_are_those_of_the_model():
    labels = tuple(f"class {number}" for number in range(80))
    assert watched_of(labels[:12], None, detects=True) == labels[:12]
    assert watched_of(labels, None, detects=True) == watched_of(labels[:3], None, detects=False) == ()
    assert watched_of(labels, ["class 7", "class 7"], detects=False) == ("class 7",)
    with pytest.raises(UsageError, match="no class 'cow'"):
        watched_of(labels, ["cow"], detects=True)
