"""A few real agents behind a bad link: one site, one collector, a bad bundle, a revocation; nothing is lost."""

from __future__ import annotations

import functools
import os
import signal
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flapping import Link, Weather
from loopback_fleet import Device, Site, collector, device, losses, said, until

AGENTS = 3
PATIENCE_S = 200.0
SOURCE = str(Path(__file__).resolve().parents[3] / "src")


class Quiet(SimpleHTTPRequestHandler):
    """Python's own static server, without its words. It knows no ranges: a cut download begins again."""

    def log_message(self, *words):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *who):
        """A connection that was cut is what this is about."""


@pytest.fixture
def static(tmp_path):
    made = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "site")))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_port
    made.shutdown()
    made.server_close()


def test_a_small_fleet_behind_a_bad_link(tmp_path, static, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH")))))
    site = Site(tmp_path, "100")
    (first, one), (second, two) = site.bundle(1), site.bundle(2)
    site.publish(first)
    taking, port, base = collector(tmp_path)
    weather = Weather(cut=0.3, up_s=3.0, down_s=0.5)
    links = [Link(static, weather, 1), Link(port, weather, 2)]
    devices: list[Device] = []
    try:
        for number in range(AGENTS):
            repository, report = f"http://127.0.0.1:{links[0].port}", f"http://127.0.0.1:{links[1].port}/v1/reports"
            made = device(tmp_path, number, site, repository, report, "1s")
            made.agent.start()
            devices.append(made)

        def all_run(sha256: str, bad: frozenset[str] = frozenset()) -> bool:
            for each in devices:
                each.serve(bad)
            return all(each.runs(sha256) for each in devices)

        until(lambda: all_run(one), "not all run the first bundle", PATIENCE_S)
        devices[0].agent.end(signal.SIGKILL)
        devices[0].agent.start()
        site.publish(second)  # it crashes wherever it runs
        bad = frozenset({two})
        until(
            lambda: all_run(one, bad) and len(said(base, "rolled-back", two)) == AGENTS, "not all went back", PATIENCE_S
        )
        site.revoke(two, one)
        for link in links:
            link.calm()
        until(lambda: all(each.id and not each.waiting for each in devices), "reports wait", PATIENCE_S)
    finally:
        for each in devices:
            each.agent.end()
        taking.end()
        for link in links:
            link.close()
    assert sum(link.counts.cut + link.counts.broken for link in links) > 0
    assert all(each.runs(one) for each in devices)
    assert losses(devices, base) == []
    assert said(base, "good", one) == {each.id for each in devices}
