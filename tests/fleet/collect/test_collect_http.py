"""Reports by HTTP: taken once they are on the disk, refused by kind, limits kept; then the real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from fleet_reports import NEW, device, sealed
from shoestring.base.errors import StorageError, UsageError
from shoestring.device.agent.sending import LATER, NEVER, TAKEN, HttpSender
from shoestring.device.serve.settings import Settings
from shoestring.device.serve.tokens import make_token, read_tokens
from shoestring.fleet.collect.app import CollectApp
from shoestring.fleet.collect.devices import read_devices
from shoestring.fleet.collect.memory import MemoryStore
from shoestring.fleet.collect.reception import Keeping, Reception
from shoestring.fleet.collect.store import open_store
from shoestring.trust.sealed_report import MAX_SEALED_BYTES

CLOCK_S = 1_800_000_000
PLAIN = Settings(client_rate=1e6, whole_rate=1e6)


class Collector:
    """The application without a network."""

    def __init__(self, store=None, *, devices=None, settings=PLAIN):
        self.store = MemoryStore() if store is None else store
        self.reception = Reception(self.store, Keeping(90, lambda: CLOCK_S), devices)
        self.app = CollectApp(self.reception, settings)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reception.close()

    def ask(self, *requests, headers=None):
        """Answers to (method, path, body), all at once."""

        async def main():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                asked = [client.request(*one[:2], content=one[2], headers=headers) for one in requests]
                return await asyncio.gather(*asked)

        return asyncio.run(main())

    def post(self, data, headers=None):
        (answer,) = self.ask(("POST", "/v1/reports", data), headers=headers)
        return answer


def test_a_report_is_taken_once():
    with Collector() as collector:
        first, again = collector.post(sealed(1)), collector.post(sealed(1))
        assert (first.status_code, first.json()) == (200, {"report": "stored"})
        assert (again.status_code, again.json()) == (200, {"report": "known"})
        assert collector.post(sealed(1, state="trial")).status_code == 422
        assert len(collector.store) == 1


def test_many_at_once_are_all_kept(tmp_path):
    with Collector(open_store(str(tmp_path / "reports"), writing=True)) as collector:
        posts = [("POST", "/v1/reports", sealed(number)) for number in range(1, 301)]
        assert {one.status_code for one in collector.ask(*posts, *posts)} == {200}
        assert collector.store.tally("porch", NEW).good == 300


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"", 400), (b"{}", 400), (b"\xff" * 100, 400), (b"x" * (MAX_SEALED_BYTES + 1), 413)],
)
def test_what_is_no_report_is_refused(data, status):
    with Collector() as collector:
        assert collector.post(data).status_code == status
        assert len(collector.store) == 0


def test_a_forged_report_is_refused():
    mine, other = sealed(1), device(2).public.raw.hex()
    forged = mine.replace(device(1).public.raw.hex().encode(), other.encode())
    with Collector() as collector:
        answer = collector.post(forged)
        assert answer.status_code == 400
        assert "not signed" in answer.json()["error"]
        assert collector.reception.refused == {"signature": 1}


def test_devices_that_are_not_listed_are_told_to_wait(tmp_path):
    path = tmp_path / "devices.txt"
    path.write_text(f"# porch\n{device(1).public.key_id} the one over the door  # really\n\n")
    with Collector(devices=read_devices(path)) as collector:
        assert collector.post(sealed(1)).status_code == 200
        assert collector.post(sealed(2)).status_code == 403
    path.write_text("porch\n")
    with pytest.raises(UsageError, match="line 1"):
        read_devices(path)


class FullDisk(MemoryStore):
    """Refuses until it has room."""

    full = True

    def add(self, received):
        if self.full:
            raise StorageError("no space left")
        return super().add(received)


def test_200_means_durable_so_a_full_disk_is_no_200():
    store = FullDisk()
    with Collector(store) as collector:
        answer = collector.post(sealed(1))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "no space" not in answer.text  # a stranger learns nothing about our disk
        (well,) = collector.ask(("GET", "/v1/health", b""))
        assert well.status_code == 503
        store.full = False
        assert collector.post(sealed(1)).json() == {"report": "stored"}
        (well,) = collector.ask(("GET", "/v1/health", b""))
        assert (well.status_code, well.json()) == (200, {"ok": True})


def test_an_answer_waits_for_the_disk():
    store, gate = MemoryStore(), threading.Event()
    add = store.add
    store.add = lambda received: (gate.wait(20), add(received))[1]
    with Collector(store) as collector, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(collector.post, sealed(1))
        with pytest.raises(TimeoutError):
            answer.result(0.3)
        gate.set()
        assert answer.result(20).status_code == 200


def test_the_saboteur_that_answers_before_it_kept_is_caught(monkeypatch):
    keep = Reception._keep

    def hasty(self, batch):
        for _, future in batch:
            future.set_result("stored")
        keep(self, [])

    monkeypatch.setattr(Reception, "_keep", hasty)
    with Collector() as collector:
        assert collector.post(sealed(1)).status_code == 200
        assert len(collector.store) == 0  # what the tests above do not let pass


def test_rates_tokens_and_paths():
    token, _line = make_token("fleet")
    tokens = read_tokens(None, {"SHOESTRING_TOKEN": token})
    with Collector(settings=Settings(tokens=tokens, client_rate=1, whole_rate=1)) as collector:
        assert collector.post(sealed(1)).status_code == 401
        assert collector.post(sealed(1), {"authorization": f"Bearer {token}"}).status_code == 200
        (well,) = collector.ask(("GET", "/v1/health", b""))
        assert well.status_code == 200
        answers = [collector.post(sealed(1)).status_code for _ in range(20)]
        assert 429 in answers
    with Collector() as collector:
        found = collector.ask(("GET", "/v1/reports", b""), ("GET", "/", b""), ("PUT", "/v1/reports", b""))
        assert [one.status_code for one in found] == [405, 404, 405]
        collector.app.drain()
        assert collector.post(sealed(1)).status_code == 503


def test_reports_are_forgotten_in_time():
    class Counting(MemoryStore):
        before: int | None = None

        def forget(self, before_s):
            self.before = before_s
            return 0

    store = Counting()
    with Collector(store) as collector:
        collector.post(sealed(1))
    assert store.before == CLOCK_S - 90 * 86_400


def test_the_agent_s_own_sender_and_the_real_server(tmp_path):
    command = [
        sys.executable,
        "-m",
        "shoestring.cli.main",
        "fleet",
        "collect",
        "--db",
        "fleet.sqlite",
        "--port",
        "0",
        "--json",
    ]
    command += ["--devices", "devices.txt"]
    listed = [device(number).public.key_id for number in range(1, 6)]
    (tmp_path / "devices.txt").write_text("\n".join(listed))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as child, contextlib.ExitStack() as stack:
        stack.callback(child.kill)
        address = json.loads("".join(iter(lambda: child.stdout.readline().decode(), "}\n")) + "}")["address"]
        sender = HttpSender(address)
        answers = [sender.send(sealed(number)) for number in (1, 2, 3, 1)]
        assert [one.outcome for one in answers] == [TAKEN] * 4, answers
        assert sender.send(sealed(9)).outcome == LATER  # not listed: kept until it is
        assert sender.send(b"{}").outcome == NEVER
        assert sender.send(sealed(1, state="trial")).outcome == NEVER
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address.replace("reports", "nothing"), timeout=20)
        refused.value.close()
        child.send_signal(signal.SIGTERM)
        said = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 0, said
    assert "4 reports were kept" in said or "3 reports were kept" in said
    store = open_store(str(tmp_path / "fleet.sqlite"), writing=False)
    assert store.tally("porch", NEW).good == 3
    store.close()
