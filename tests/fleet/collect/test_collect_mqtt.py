"""Reports by a real broker: kept once, confirmed only when they are on the disk."""

from __future__ import annotations

import pytest

from brokers import Mosquitto, until
from fleet_reports import NEW, device, sealed
from shoestring.base.errors import StorageError
from shoestring.device.agent.sending import TAKEN, MqttSender
from shoestring.device.publish.broker import parse_broker
from shoestring.fleet.collect import mqtt
from shoestring.fleet.collect.memory import MemoryStore
from shoestring.fleet.collect.mqtt import MqttReports
from shoestring.fleet.collect.reception import Keeping, Reception


@pytest.fixture
def broker(tmp_path):
    made = Mosquitto(tmp_path).start()
    yield made
    made.kill()


def send(broker, number, data):
    topic = f"shoestring/{device(number).public.key_id}/report"
    sender = MqttSender(f"mqtt://127.0.0.1:{broker.port}", topic, f"device-{number}", {})
    assert sender.send(data).outcome == TAKEN


def listen(broker, store):
    reception = Reception(store, Keeping(90), None)
    heard = MqttReports(parse_broker(f"mqtt://127.0.0.1:{broker.port}", {}), reception)
    until(lambda: heard.trouble is None, "the collector did not connect")
    return reception, heard


def test_reports_come_once_and_nonsense_does_no_harm(broker):
    store = MemoryStore()
    reception, heard = listen(broker, store)
    for number in (1, 2, 3):
        send(broker, number, sealed(number))
    send(broker, 1, sealed(1))
    send(broker, 4, b"{}")
    send(broker, 5, sealed(5))
    until(lambda: store.tally("porch", NEW).good == 4, "the reports did not come")
    assert reception.refused == {"form": 1}
    heard.close()
    heard.close()
    reception.close()


def test_what_came_while_the_collector_was_away_comes_later(broker):
    store = MemoryStore()
    reception, heard = listen(broker, store)
    until(lambda: heard.subscribed, "the collector did not subscribe")
    heard.close()
    reception.close()
    for number in range(1, 31):
        send(broker, number, sealed(number))
    reception, heard = listen(broker, store)
    until(lambda: store.tally("porch", NEW).good == 30, "the broker did not keep them")
    heard.close()
    reception.close()


def test_what_the_disk_refused_is_tried_again(broker, monkeypatch):
    monkeypatch.setattr(mqtt, "AGAIN_S", 0.05)

    class FullDisk(MemoryStore):
        refusals = 0

        def add(self, received):
            if self.refusals < 5:
                self.refusals += 1
                raise StorageError("no space left")
            return super().add(received)

    store = FullDisk()
    reception, heard = listen(broker, store)
    send(broker, 1, sealed(1))
    until(lambda: store.tally("porch", NEW).good == 1, "the report was lost")
    assert store.refusals == 5
    heard.close()
    reception.close()
