"""The server of an encoder: embeddings for OpenAI's client, texts in the Open Inference Protocol."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving_writers import NAME, NullEncoder, WriterServer, make_encoder
from shoestring.device.language.embedding import read_embedding
from shoestring.device.language.encoder import EncoderApp, read_infer
from shoestring.device.language.refusals import ApiRefusal
from shoestring.device.serve import Settings
from shoestring.device.serve.pages import STATIC

Start = Callable[..., WriterServer]
SPEC: dict[str, Any] = json.loads((STATIC / "openapi-encoder.json").read_text())


def post(server: WriterServer, path: str, body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_openais_client_gets_the_same_vectors_in_both_forms(write_server: Start) -> None:
    openai = pytest.importorskip("openai")
    api = openai.OpenAI(base_url=write_server({}, "--encoder", "embeds").url + "/v1", api_key="x", max_retries=0)
    texts = ["a cat", "two dogs and one bird that sings"]
    expected = NullEncoder().embed(texts)
    for form in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        said = api.embeddings.create(model=NAME, input=texts, **form)
        if form.get("encoding_format") != "base64":
            assert np.array_equal(np.array([one.embedding for one in said.data], np.float32), expected)
        assert [one.index for one in said.data] == [0, 1]
        assert said.usage.prompt_tokens == 7
        assert said.shoestring == {"rung": "int8", "cut": [1]}
    one = api.embeddings.create(model=f"{NAME}:int8", input="a cat", dimensions=3)
    assert one.data[0].embedding == expected[0].tolist()
    with pytest.raises(openai.BadRequestError) as short:
        api.embeddings.create(model=NAME, input="a", dimensions=2)
    assert short.value.param == "dimensions"
    with pytest.raises(openai.NotFoundError):
        api.embeddings.create(model="other", input="a")
    with pytest.raises(openai.InternalServerError):
        api.embeddings.create(model=NAME, input="!die")
    assert [model.id for model in api.models.list()] == [NAME]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [""]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 4}, "dimensions"),
        ({"model": ""}, "model"),
        ({"x": 1}, "x"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiRefusal) as refused:
        read_embedding(json.dumps({"model": NAME, "input": "a", **fields}).encode(), 3)
    assert refused.value.param == param


def tensor(*texts: Any, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts), **more}]}


def test_texts_in_the_open_inference_protocol(write_server: Start) -> None:
    server = write_server({}, "--encoder", "classifies")
    status, said = post(server, f"/v2/models/{NAME}/infer", {"id": "7", **tensor("tiny", "not so very tiny")})
    assert (status, said["id"], said["model_name"]) == (200, "7", NAME)
    outputs = {one["name"]: one["data"] for one in said["outputs"]}
    assert outputs == {"label": ["short", "long"], "score": [0.504, 0.516], "rung": ["int8", "int8"]}
    assert post(server, "/v2/models/other/infer", tensor("x"))[0] == 404
    status, said = post(server, f"/v2/models/{NAME}/infer", tensor("x", datatype="UINT8"))
    assert status == 400
    assert "BYTES" in said["error"]
    assert post(server, "/v1/embeddings", {"model": NAME, "input": "x"})[0] == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"inputs": []}, {"inputs": tensor("a")["inputs"] * 2}, tensor(), tensor(3), tensor(""), tensor("a", shape=[2]),
     tensor("a", name="pixels"), tensor("a", more=1), {**tensor("a"), "more": 1}],
)  # fmt: skip
def test_a_tensor_that_is_none_of_texts_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ApiRefusal) as refused:
        read_infer(json.dumps(body).encode())
    assert refused.value.status == 400


def test_many_at_once_get_their_own(write_server: Start) -> None:
    server = write_server({}, "--encoder", "embeds")
    texts = [f"text number {i}" * (1 + i % 3) for i in range(60)]
    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(lambda text: post(server, "/v1/embeddings", {"model": NAME, "input": text}), texts))
    rows = np.array([said["data"][0]["embedding"] for _, said in found], np.float32)
    assert np.array_equal(rows, NullEncoder().embed(texts))


def test_every_route_is_described() -> None:
    described = {
        (method.upper(), path) for path, item in SPEC["paths"].items() for method in item if method != "parameters"
    }
    routes = EncoderApp(make_encoder(), Settings()).routes
    assert described == {(route.method, route.path) for route in routes}
    fewer = {route.path for route in EncoderApp(make_encoder(classifies=True), Settings()).routes}
    assert {route.path for route in routes} - fewer == {"/v1/embeddings"}
