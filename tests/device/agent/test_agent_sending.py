"""Reports on their way, by real HTTP and a real broker."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agents import Collector
from brokers import Ear, Mosquitto, free_port, until
from shoestring.base.errors import UsageError
from shoestring.device.agent.identity import device_key
from shoestring.device.agent.queue import ReportQueue
from shoestring.device.agent.reporting import Teller, deliver, plain_line
from shoestring.device.agent.sending import LATER, NEVER, TAKEN, Answer, HttpSender, MqttSender
from shoestring.device.agent.watching import Fact, Told
from shoestring.trust.repository.patience import retry_after_s
from shoestring.trust.sealed_report import open_report


class Server:
    """Answers what it is told to, and keeps what it got."""

    def __init__(self) -> None:
        self.status, self.headers, self.got = 200, {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, self.headers, data))
                if outer.status == 0:
                    self.connection.close()
                    return
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1/reports"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def server():
    made = Server()
    with contextlib.closing(made.server.socket):
        yield made
        made.server.shutdown()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, TAKEN), (202, TAKEN), (204, TAKEN),
        (400, NEVER), (413, NEVER), (422, NEVER),
        (301, LATER), (302, LATER), (401, LATER), (403, LATER), (404, LATER), (429, LATER), (500, LATER), (503, LATER),
        (0, LATER),
    ],
)  # fmt: skip
def test_what_answers_mean(server, status, outcome):
    server.status = status
    if 300 <= status < 400:
        server.headers = {"Location": server.address.replace("/v1/", "/elsewhere/")}
    assert HttpSender(server.address).send(b"{}").outcome == outcome
    assert [path for path, _, _ in server.got] == ["/v1/reports"], "a redirect was followed"


def test_patience_is_heard(server):
    server.status, server.headers = 429, {"Retry-After": "77"}
    assert HttpSender(server.address).send(b"{}") == Answer(LATER, "127.0.0.1 answered 429", 77.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("77", 77.0), (" 5 ", 5.0), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0), ("", None), ("soon", None), ("-1", None), ("1e9", None),
        ("9" * 50, None), ("٣", None), (None, None),
    ],
)  # fmt: skip
def test_ways_to_ask_for_patience(text, seconds):
    assert retry_after_s(text, 100.0) == seconds


def test_a_token_goes_where_nobody_can_read_it(server):
    HttpSender(server.address, token="word").send(b"{}")
    assert server.got[0][1]["Authorization"] == "Bearer word"
    HttpSender("https://fleet.example/v1/reports", token="word")
    with pytest.raises(UsageError, match="in the clear"):
        HttpSender("http://fleet.example/v1/reports", token="word")


def test_no_proxy_of_the_environment_is_asked(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert HttpSender(server.address).send(b"{}").outcome == TAKEN


def test_nobody_there():
    answer = HttpSender(f"http://127.0.0.1:{free_port()}/").send(b"{}")
    assert answer.outcome == LATER
    assert "refused" in answer.why


def test_tls_is_verified(server):
    """A server that speaks no TLS, or shows no certificate that is trusted, gets no report."""
    assert HttpSender(server.address.replace("http:", "https:")).send(b"{}").outcome == LATER
    assert server.got == []


@pytest.mark.parametrize("address", ["http://", "http://a:b@host/", "http://host/#part", "http://host:99999/"])
def test_addresses_that_are_none(address):
    with pytest.raises(UsageError):
        HttpSender(address)


@pytest.fixture
def queue(tmp_path):
    key = device_key(tmp_path / "agent")
    queue = ReportQueue(tmp_path / "reports")
    teller = Teller(key, "porch", "0.1.0", "test", lambda: 1_800_000_000.0)
    for state in ("trial", "good", "good"):
        teller.tell(queue, Fact(state, "a" * 64, 1, "why\x1b[31m\n" + "x" * 600, Told()), "b" * 64)
    return queue


def test_reports_are_the_devices_word(queue):
    report = open_report(queue.first().envelope.encode())
    assert (report.sequence, report.state, report.running_sha256, report.counter) == (1, "trial", "b" * 64, 1)
    assert report.reason == plain_line(report.reason)
    assert report.reason.startswith("why?[31m xxx")
    assert len(report.reason) == 500


def test_all_that_waits_is_sent_in_order(queue):
    collector = Collector()
    assert deliver(queue, collector).outcome == TAKEN
    assert [report.sequence for report in collector.reports] == [1, 2, 3]
    assert queue.waiting == ()


def test_what_is_not_taken_waits(queue):
    collector = Collector()
    collector.away = True
    assert deliver(queue, collector).outcome == LATER
    assert queue.waiting == (1, 2, 3)


def test_what_is_refused_for_what_it_is_goes(queue):
    collector = Collector()
    collector.answer = Answer(NEVER, "no report")
    deliver(queue, collector)
    assert (queue.waiting, queue.done.rejected) == ((), 3)


def test_a_collector_that_asks_for_patience_gets_it_after_each_report(queue):
    collector = Collector()
    collector.answer = Answer(TAKEN, "", 60.0)
    assert deliver(queue, collector).retry_after_s == 60.0
    assert queue.waiting == (2, 3)


def test_a_long_queue_goes_in_parts(queue):
    assert deliver(queue, Collector(), most=2).outcome == TAKEN
    assert queue.waiting == (3,)


def test_by_mqtt(queue, tmp_path):
    broker = Mosquitto(tmp_path).start()
    try:
        ear = Ear(broker.port)
        sender = MqttSender(f"mqtt://127.0.0.1:{broker.port}", "shoestring/x/report", "x", {})
        assert deliver(queue, sender).outcome == TAKEN
        until(lambda: len(ear.said("shoestring/x/report")) == 3, "not all reports came")
        assert [json.loads(said).keys() for said in ear.said("shoestring/x/report")] == [{"envelope", "public_key"}] * 3
        ear.close()
    finally:
        broker.kill()
    assert queue.waiting == ()
    assert sender.send(b"{}").outcome == LATER


def test_a_broker_that_refuses_us(tmp_path):
    broker = Mosquitto(tmp_path, "allow_anonymous false").start()
    try:
        answer = MqttSender(f"mqtt://127.0.0.1:{broker.port}", "shoestring/x/report", "x", {}).send(b"{}")
    finally:
        broker.kill()
    assert answer.outcome == LATER
    assert "uthori" in answer.why


def test_passwords_do_not_go_in_the_clear():
    with pytest.raises(UsageError, match="in the clear"):
        MqttSender("mqtt://me@broker.example", "t", "x", {"SHOESTRING_MQTT_PASSWORD": "word"})
