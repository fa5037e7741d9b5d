"""The description of the routes is complete and true: it lists every route, and what the server answers fits it.

`SHOESTRING_PROOF=20` fuzzes twenty times as long.
"""

from __future__ import annotations

import http.client
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from proof_scale import SCALE
from serving import SIDE, Server, make_service
from shoestring._version import __version__
from shoestring.device.serve import Settings, build_app
from shoestring.device.serve.pages import STATIC

schemathesis = pytest.importorskip("schemathesis")
jsonschema = pytest.importorskip("jsonschema_rs")

SPEC: dict[str, Any] = json.loads((STATIC / "openapi.json").read_text())
ENDLESS = ("/events", "/picture.mjpeg")
MODEL = "tiny"


def operations(spec: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in spec["paths"].items() for method in item if method != "parameters"}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    routes = {(route.method, route.path) for route in build_app(make_service(), Settings()).routes}
    assert operations(SPEC) == routes
    without = {**SPEC, "paths": {path: item for path, item in SPEC["paths"].items() if path != "/metrics"}}
    assert operations(without) != routes  # the saboteur: a route that was forgotten


def test_the_description_says_which_routes_need_a_token() -> None:
    for route in build_app(make_service(), Settings()).routes:
        operation = SPEC["paths"][route.path][route.method.lower()]
        assert (operation.get("security") == []) == route.open_to_all, route.path
        assert ("401" in operation["responses"]) != route.open_to_all, route.path
        assert {"403", "421", "429"} <= set(operation["responses"])


def test_what_it_refers_to_exists_and_nothing_stands_there_unused() -> None:
    used = set(references(SPEC))
    there = {
        f"#/components/{kind}/{name}"
        for kind, items in SPEC["components"].items()
        if kind != "securitySchemes"
        for name in items
    }
    assert used == there
    ids = [
        operation["operationId"]
        for item in SPEC["paths"].values()
        for m, operation in item.items()
        if m != "parameters"
    ]
    assert len(ids) == len(set(ids))


def schema_of(method: str, path: str, status: int) -> dict[str, Any]:
    found = SPEC["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in found:
        found = SPEC["components"]["responses"][found["$ref"].rpartition("/")[2]]
    return {**found["content"]["application/json"]["schema"], "components": SPEC["components"]}


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), (10, 200, 30)).save(stream, "PNG")
    return stream.getvalue()


def test_answers_fit_the_description(serve: Callable[..., Server]) -> None:
    server = serve({}, "--scene", "troubled")
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": [5] * SIDE * SIDE * 3}
    good, bad = json.dumps({"id": "x", "inputs": [tensor]}).encode(), b"{}"
    asked = [
        ("GET", "/v2", None, 200),
        ("GET", "/v2/health/live", None, 200),
        ("GET", "/v2/health/ready", None, 200),
        ("GET", "/v2/models/{name}", None, 200),
        ("GET", "/v2/models/{name}/ready", None, 200),
        ("GET", "/v1/state", None, 200),
        ("POST", "/v2/models/{name}/infer", good, 200),
        ("POST", "/v2/models/{name}/infer", bad, 400),
        ("POST", "/v1/classify", picture(), 200),
        ("POST", "/v1/classify", bad, 400),
    ]
    for method, path, body, status in asked:
        connection = http.client.HTTPConnection(server.address, timeout=30)
        connection.request(method, path.replace("{name}", MODEL), body, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        assert answer.status == status, (path, said)
        validator = jsonschema.validator_for(schema_of(method, path, status))
        assert [error.message for error in validator.iter_errors(said)] == [], path
        assert not validator.is_valid({**said, "stray": 1}) or path == "/openapi.json"  # it does forbid something


def test_the_page_of_routes_shows_every_route(serve: Callable[..., Server]) -> None:
    server = serve()
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.request("GET", "/docs")
    answer = connection.getresponse()
    page = answer.read().decode()
    assert "script-src 'self'" in (answer.getheader("content-security-policy") or "")
    shown = set(re.findall(r"<span class='tag'>(\w+)</span> <code>([^<]*)</code>", page))
    assert shown == operations(SPEC)
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    connection.request("GET", "/openapi.json")
    described = json.loads(connection.getresponse().read())
    assert described == {**SPEC, "info": {**SPEC["info"], "version": __version__}}


# --- fuzzing ---------------------------------------------------------------------------------------------------------


def fuzzed_spec() -> Any:
    """The description, with the model's name filled in, so that the paths lead somewhere."""
    spec = json.loads(json.dumps(SPEC))
    spec["components"]["parameters"]["Name"]["schema"] = {"enum": [MODEL]}
    spec["components"]["parameters"]["Version"]["schema"] = {"enum": ["1", "2"]}
    schema = schemathesis.openapi.from_dict(spec)
    for path in ENDLESS:
        schema = schema.exclude(path=path)
    return schema


SCHEMA = fuzzed_spec()
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.specs.openapi.checks.status_code_conformance,
    schemathesis.specs.openapi.checks.content_type_conformance,
    schemathesis.specs.openapi.checks.response_schema_conformance,
    schemathesis.specs.openapi.checks.response_headers_conformance,
    schemathesis.specs.openapi.checks.unsupported_method,
]


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Server]:
    server = Server({"deadline_s": 60.0}, "--scene", "troubled")
    yield server
    status, said = server.end()
    assert status == 0
    assert "Traceback" not in said, said


@SCHEMA.parametrize()
@settings(
    max_examples=15 * SCALE,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_whatever_is_sent_is_answered_as_described(case: Any, fuzzed: Server) -> None:
    response = case.call(base_url=fuzzed.url)
    case.validate_response(response, checks=CHECKS)


@pytest.mark.parametrize(("status", "body"), [(500, {"error": "x"}), (200, {"name": 5}), (418, {"error": "x"})])
def test_the_fuzzing_finds_a_server_that_answers_otherwise(status: int, body: dict[str, Any]) -> None:
    """The saboteurs: a 5xx, a body of another form, a status that is not described."""
    import requests
    from schemathesis.core.failures import FailureGroup

    case = SCHEMA["/v2"]["GET"].Case()
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    response.headers["Content-Type"] = "application/json"
    response.request = requests.Request("GET", "http://localhost/v2").prepare()
    with pytest.raises(FailureGroup):
        case.validate_response(response, checks=CHECKS)
