"""Against a real broker, which is killed, restarted, frozen, and does not know everybody."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from brokers import Ear, Mosquitto, until
from shoestring.base.errors import UsageError
from shoestring.device.governor.nouns import Decision, Work
from shoestring.device.pipelines.nouns import Box, Frame, Result
from shoestring.device.publish import Broker, MqttListener, MqttPublisher
from shoestring.device.publish.discovery import Device
from shoestring.device.sensors.readings import Readings

pytest.importorskip("paho.mqtt.client", reason="publishing needs paho-mqtt")
STATUS = "shoestring/porch/status"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path).start()
    yield made
    made.kill()


@pytest.fixture
def ear(broker: Mosquitto) -> Iterator[Ear]:
    made = Ear(broker.port)
    yield made
    made.close()


@pytest.fixture
def make() -> Iterator[Callable[..., MqttPublisher]]:
    made: list[MqttPublisher] = []

    def make_one(broker: Broker | int, **more: object) -> MqttPublisher:
        where = Broker("127.0.0.1", broker) if isinstance(broker, int) else broker
        made.append(MqttPublisher(where, "porch", back_off_s=(1, 1), **more))
        return made[-1]

    yield make_one
    for one in made:
        one.close(0.1)


@pytest.mark.parametrize("qos", [0, 1])
def test_states_are_kept_for_those_who_come_later_and_events_are_not(broker, make, qos):
    publisher = make(broker.port, qos=qos)
    publisher.state("shoestring/porch/device", "{}")
    publisher.event("shoestring/porch/result", "1")
    until(lambda: publisher._done(), "not sent")
    late = Ear(broker.port)
    until(lambda: late.said("shoestring/porch/device"), "the state is not kept")
    assert {(topic, kept) for topic, _, kept in late.heard} == {(STATUS, True), ("shoestring/porch/device", True)}
    assert late.said(STATUS) == ["online"]
    late.close()


def test_it_says_goodbye(broker, ear, make):
    publisher = make(broker.port)
    until(lambda: ear.said(STATUS) == ["online"], "never online")
    publisher.close()
    publisher.close()
    until(lambda: ear.said(STATUS) == ["online", "offline"], "no goodbye")


def test_the_broker_tells_the_others_when_the_device_dies(broker, ear, make):
    publisher = make(broker.port)
    until(lambda: ear.said(STATUS) == ["online"], "never online")
    publisher._client._sock.shutdown(2)  # as a cable that is pulled: no goodbye
    publisher._client.reconnect_delay_set(30, 30)
    until(lambda: "offline" in ear.said(STATUS), "the last will was not read out")


def test_a_broker_that_comes_back_empty_is_told_everything_again(broker, make):
    publisher = make(broker.port, waiting=5)
    publisher.state("shoestring/porch/device", "old")
    until(lambda: publisher._done(), "not sent")
    broker.kill()
    until(lambda: publisher.trouble is not None, "the loss was not noticed")
    publisher.state("shoestring/porch/device", "new")
    for number in range(8):
        publisher.event("shoestring/porch/result", str(number))
    assert publisher.lost == 3
    broker.start()
    ear = Ear(broker.port)
    until(lambda: len(ear.said("shoestring/porch/result")) == 5, "the events that waited did not come")
    until(lambda: ear.said("shoestring/porch/device"), "the state did not come")
    assert ear.said("shoestring/porch/result") == list("34567")
    assert ear.said("shoestring/porch/device")[-1] == "new"
    assert ear.said(STATUS)[-1] == "online" and publisher.trouble is None
    ear.close()


def test_it_waits_for_a_broker_that_is_not_there_yet(tmp_path, make):
    broker = Mosquitto(tmp_path)
    publisher = make(broker.port)
    until(lambda: "cannot be reached" in (publisher.trouble or ""), "nothing was said")
    broker.start()
    until(lambda: publisher.trouble is None, "it did not come back")
    broker.kill()


def test_a_broker_that_says_nothing_holds_nobody_up(broker, make):
    publisher = make(broker.port, waiting=5)
    until(lambda: publisher._done(), "not sent")
    broker.freeze()
    begun = time.monotonic()
    for number in range(200):
        publisher.event("shoestring/porch/result", str(number))
        publisher.state("shoestring/porch/device", str(number))
    publisher.close(0.1)
    assert time.monotonic() - begun < 30, "close() waits for ever"
    assert publisher.lost >= 200 - 5 - 20 - 1


def test_strangers_are_refused_and_it_is_said(tmp_path, make):
    secrets = tmp_path / "secrets"
    subprocess.run(["mosquitto_passwd", "-c", "-b", secrets, "cam", "geheim"], check=True, capture_output=True)
    secrets.chmod(0o644)
    broker = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {secrets}").start()
    for password in (None, "falsch"):
        stranger = make(Broker("127.0.0.1", broker.port, user="cam", password=password))
        until(lambda one=stranger: "refuses" in (one.trouble or ""), "nothing was said")
        assert "falsch" not in (stranger.trouble or "")
    friend = make(Broker("127.0.0.1", broker.port, user="cam", password="geheim"))
    until(lambda: friend.trouble is None and friend._done(), "the right password is refused")
    broker.kill()


def test_over_tls_only_a_broker_with_the_right_certificate_is_told_anything(tmp_path, make):
    for name in ("right", "wrong"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
             tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"], check=True, capture_output=True
        )  # fmt: skip
        (tmp_path / f"{name}.key").chmod(0o644)
    keys = (f"certfile {tmp_path}/right.pem", f"keyfile {tmp_path}/right.key", "allow_anonymous true")
    broker = Mosquitto(tmp_path, *keys).start()
    deceived = make(Broker("127.0.0.1", broker.port, tls=True, authority=tmp_path / "wrong.pem"))
    until(lambda: "cannot be reached" in (deceived.trouble or ""), "nothing was said")
    publisher = make(Broker("127.0.0.1", broker.port, tls=True, authority=tmp_path / "right.pem"))
    until(lambda: publisher.trouble is None and publisher._done(), "not sent")
    assert deceived.trouble is not None
    broker.kill()
    with pytest.raises(UsageError, match="holds no certificates"):
        make(Broker("127.0.0.1", broker.port, tls=True, authority=tmp_path / "right.key"))


def test_messages_a_second_are_bounded(broker, ear, make):
    publisher = make(broker.port, rate=20.0)
    begun = time.monotonic()
    for number in range(20):
        publisher.event("shoestring/porch/result", str(number))
    until(lambda: len(ear.said("shoestring/porch/result")) == 20, "not all came")
    assert time.monotonic() - begun >= 19 / 20, "faster than asked"


def test_the_listener_fills_home_assistant_and_follows_the_frames(broker, ear, make):
    said: list[tuple[str, str | None]] = []
    publisher = make(broker.port)
    device = Device("porch", "yard", ("person",))
    listener = MqttListener(publisher, device, hold_s=5.0, say=lambda *words: said.append(words))
    frame = Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8), (8, 8))
    box = Box(0.1, 0.1, 0.2, 0.2, 0, "person", 0.9)
    listener.result(frame, Result(0, 0.0, 0.1, "a", "model"))
    until(lambda: ear.said("shoestring/porch/occupancy/person") == ["OFF"], "not told")
    listener.result(frame, Result(1, 1.0, 1.1, "a", "model", (box,)))
    until(lambda: ear.said("shoestring/porch/occupancy/person") == ["OFF", "ON"], "not told")
    listener.result(frame, Result(2, 9.0, 9.1, "a", "model"))
    until(lambda: ear.said("shoestring/porch/occupancy/person") == ["OFF", "ON", "OFF"], "not told")
    until(lambda: len(ear.said("shoestring/porch/result")) == 3, "not told")
    assert json.loads(ear.said("shoestring/porch/result")[1])["boxes"][0]["label"] == "person"
    assert ear.said("homeassistant/binary_sensor/shoestring_porch/occupancy_person/config")
    tell = (None, Decision(9.2, "a", 5.0, "fits", moved=False), Readings(9.2), Work(answered=3), None)
    listener.decision(*tell)
    assert said == []
    broker.kill()
    until(lambda: publisher.trouble is not None, "the loss was not noticed")
    listener.decision(*tell)
    listener.decision(*tell)
    assert [what for what, _ in said] == ["mqtt"] and said[0][1]
    broker.start()
    until(lambda: publisher.trouble is None, "it did not come back")
    listener.decision(*tell)
    assert said[-1] == ("mqtt", None)
    listener.close()


def test_a_publisher_that_trusts_the_broker_to_remember_would_be_found(broker, make, monkeypatch):
    monkeypatch.setattr("shoestring.device.publish.outbox.Outbox.renew", lambda self: None)
    publisher = make(broker.port)
    before = Ear(broker.port)
    until(lambda: before.said(STATUS) == ["online"], "not sent")  # while it connects, it has nothing to send either
    before.close()
    until(lambda: publisher._done(), "not confirmed")
    broker.kill()
    until(lambda: publisher.trouble is not None, "the loss was not noticed")
    publisher.event("shoestring/porch/result", "1")
    broker.start()
    ear = Ear(broker.port)
    until(lambda: ear.said("shoestring/porch/result"), "the event did not come")
    assert ear.said(STATUS) == [], "the tests above would not notice"
    ear.close()
