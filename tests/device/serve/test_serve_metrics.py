"""Figures for Prometheus: the text is what its format says, and the figures are what happened."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable

import pytest

from serving import PlainEngine, Server, make_service
from serving_scenes import running
from shoestring.device.serve.desk import Desk
from shoestring.device.serve.guard import Guard
from shoestring.device.serve.metrics import EDGES_S, Metric, Requests, Sample, collect, render
from shoestring.device.serve.settings import Settings

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = r'"(?:[^"\\\n]|\\["\\n])*"'
LINE = re.compile(rf"^({NAME})(?:\{{((?:{NAME}={VALUE},?)*)\}})? (-?[0-9.e+-]+|[+-]Inf|NaN)$")
TYPES = ("counter", "gauge", "histogram")


def parse(text: str) -> dict[str, tuple[str, dict[str, float]]]:
    """Type and samples by metric; fails on whatever the text format 0.0.4 does not allow."""
    assert text.endswith("\n")
    found: dict[str, tuple[str, dict[str, float]]] = {}
    current, helped = "", ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ")[2]
            assert helped not in found, "a metric's lines must stand together"
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert (current, kind in TYPES) == (helped, True)
            found[current] = (kind, {})
        else:
            match = LINE.match(line)
            assert match, line
            name, labels, value = match.groups()
            kind, samples = found[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + suffix for suffix in suffixes], line
            key = f"{name}{{{labels or ''}}}"
            assert key not in samples, f"twice: {line}"
            samples[key] = float(value)
            assert kind != "counter" or (current.endswith("_total") and float(value) >= 0)
    return found


def test_the_parser_of_these_tests_finds_broken_text() -> None:
    good = b"# HELP a_total x\n# TYPE a_total counter\n"
    for broken in (b'a_total{x="1} 1\n', b"a_total 1 ms\n", b"b_total 1\n", b"a_total 1\na_total 2\n", b"a_total -1\n"):
        with pytest.raises(AssertionError):
            parse((good + broken).decode())


def test_names_that_need_quoting_are_quoted() -> None:
    metric = Metric("a", "gauge", "two\nlines \\", (Sample((("rung", 'a"b\\c\nd'),), 1),))
    text = render([metric]).decode()
    assert text == '# HELP a two\\nlines \\\\\n# TYPE a gauge\na{rung="a\\"b\\\\c\\nd"} 1\n'
    parse(text)


def test_a_histogram_counts_each_request_once_and_upwards() -> None:
    requests = Requests()
    times = [0.0005, 0.001, 0.0011, 0.3, 99.0]
    for took in times:
        requests.note("/v2", 200, took)
    requests.note("/v2", 503, 0.002)
    found = parse(render(requests.metrics()).decode())
    kind, samples = found["shoestring_request_seconds"]
    buckets = [value for key, value in samples.items() if "_bucket" in key]
    assert kind == "histogram"
    assert len(buckets) == len(EDGES_S) + 1
    assert buckets == sorted(buckets)
    assert buckets[0] == 2  # an edge belongs to its bucket
    assert buckets[-1] == 6 == samples['shoestring_request_seconds_count{route="/v2"}']
    assert samples['shoestring_request_seconds_sum{route="/v2"}'] == pytest.approx(sum(times) + 0.002)
    assert found["shoestring_requests_total"][1] == {
        'shoestring_requests_total{route="/v2",code="200"}': 5,
        'shoestring_requests_total{route="/v2",code="503"}': 1,
    }


def test_everything_that_is_known_is_told_and_nothing_else() -> None:
    live, _ = running()
    live.dropped(3)
    settings = Settings()
    desk, guard = Desk(PlainEngine(4, 0.0), 16), Guard(settings, time.monotonic)

    def told(service: object) -> dict[str, float]:
        text = render(collect(service, desk, guard, Requests(), ready=True, queue=16)).decode()  # type: ignore[arg-type]
        return {key: value for _, samples in parse(text).values() for key, value in samples.items()}

    full = told(make_service(live=live))
    assert full['shoestring_rung{rung="int8-small:int8@native"}'] == 1
    assert full["shoestring_moves_total{}"] == 2
    assert full["shoestring_frames_dropped_total{}"] == 3
    assert full['shoestring_answers_total{by="model"}'] == 600
    assert full["shoestring_temperature_celsius{}"] == live.readings.celsius  # type: ignore[union-attr]
    assert full["shoestring_watts{}"] == live.readings.watts  # type: ignore[union-attr]
    assert full["shoestring_queue_capacity{}"] == 16
    assert 5e6 < full["process_resident_memory_bytes{}"] < 5e9
    bare = told(make_service())
    absent = ("temperature", "watts", "rung", "clock", "memory_free", "wanted_rate")
    assert [key for key in bare if key.startswith(tuple(f"shoestring_{name}" for name in absent))] == []


def test_the_server_counts_what_it_answered(serve: Callable[..., Server]) -> None:
    server = serve()

    def get(path: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection(server.address, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, answer.getheader("content-type") or "", answer.read().decode()
        connection.close()
        return found

    for path in ("/v2", "/v2", "/v2/models/tiny", "/v2/models/x", "/wp-admin.php", "/%2e%2e/etc/passwd"):
        get(path)
    status, media, text = get("/metrics")
    assert (status, media) == (200, "text/plain; version=0.0.4; charset=utf-8")
    counts = parse(text)["shoestring_requests_total"][1]
    assert counts == {
        'shoestring_requests_total{route="/v2",code="200"}': 2,
        'shoestring_requests_total{route="/v2/models/{name}",code="200"}': 1,
        'shoestring_requests_total{route="/v2/models/{name}",code="404"}': 1,
        'shoestring_requests_total{route="other",code="404"}': 2,
    }
