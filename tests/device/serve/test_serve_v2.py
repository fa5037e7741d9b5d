"""The Open Inference Protocol, as an independent client library speaks it: NVIDIA's tritonclient."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving import LABELS, SIDE, Server, make_spec, outputs_of
from shoestring.base.outputs import softmax
from shoestring.inputs.image import pixels

triton = pytest.importorskip("tritonclient.http")
Serve = Callable[..., Server]


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve()


@pytest.fixture
def client(server: Server) -> Any:
    with triton.InferenceServerClient(server.address) as made:
        yield made


def examples(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def tensor(batch: np.ndarray, *, binary: bool) -> Any:
    made = triton.InferInput("pixels", list(batch.shape), "UINT8")
    made.set_data_from_numpy(batch, binary_data=binary)
    return made


def post(server: Server, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert not client.is_model_ready("huge")
    assert not client.is_model_ready("tiny", "2")
    server = client.get_server_metadata()
    assert server["name"] == "shoestring"
    assert "binary_tensor_data" in server["extensions"]
    model = client.get_model_metadata("tiny", "1")
    assert model == client.get_model_metadata("tiny")
    assert (model["name"], model["versions"]) == ("tiny", ["1"])
    assert model["inputs"] == [{"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}]
    assert [(one["name"], one["datatype"], one["shape"]) for one in model["outputs"]] == [
        ("outputs", "FP32", [-1, 4]),
        ("probabilities", "FP32", [-1, 4]),
        ("rung", "BYTES", [-1]),
    ]


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True, None])
def test_answers_are_the_engines_either_way(client: Any, binary_in: bool, binary_out: bool | None) -> None:
    batch = examples(3)
    outputs = None
    if binary_out is not None:
        outputs = [triton.InferRequestedOutput(n, binary_out) for n in ("rung", "outputs", "probabilities")]
    result = client.infer("tiny", [tensor(batch, binary=binary_in)], outputs=outputs, request_id="a-7")
    wanted = np.stack([outputs_of(one, 4) for one in batch])
    np.testing.assert_array_equal(result.as_numpy("outputs"), wanted)
    np.testing.assert_allclose(result.as_numpy("probabilities"), softmax(wanted), rtol=1e-6)
    assert [str(one, "utf-8") if isinstance(one, bytes) else one for one in result.as_numpy("rung")] == ["int8"] * 3
    said = result.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("a-7", "tiny", "1")


def test_only_the_outputs_that_are_asked_for_come(client: Any) -> None:
    asked = [triton.InferRequestedOutput("rung")]
    result = client.infer("tiny", [tensor(examples(1), binary=True)], model_version="1", outputs=asked)
    assert [one["name"] for one in result.get_response()["outputs"]] == ["rung"]


def test_many_requests_at_once_get_their_own_answers(serve: Serve) -> None:
    server = serve({"queue": 64})
    batches = [examples(1 + number % 3, number) for number in range(40)]
    with triton.InferenceServerClient(server.address, concurrency=8) as client:
        waiting = [client.async_infer("tiny", [tensor(batch, binary=n % 2 == 0)]) for n, batch in enumerate(batches)]
        for batch, one in zip(batches, waiting, strict=True):
            np.testing.assert_array_equal(
                one.get_result().as_numpy("outputs"), np.stack([outputs_of(image, 4) for image in batch])
            )


@pytest.mark.parametrize(
    ("model", "version", "shape", "datatype", "status"),
    [
        ("huge", "", (1, SIDE, SIDE, 3), "UINT8", "404"),
        ("tiny", "9", (1, SIDE, SIDE, 3), "UINT8", "404"),
        ("tiny", "", (1, SIDE, SIDE + 1, 3), "UINT8", "400"),
        ("tiny", "", (17, SIDE, SIDE, 3), "UINT8", "400"),
        ("tiny", "", (1, SIDE, SIDE, 3), "FP32", "400"),
    ],
)
def test_errors_come_in_the_protocols_form(
    client: Any, model: str, version: str, shape: tuple[int, ...], datatype: str, status: str
) -> None:
    made = triton.InferInput("pixels", list(shape), datatype)
    made.set_data_from_numpy(np.zeros(shape, np.uint8 if datatype == "UINT8" else np.float32))
    with pytest.raises(triton.InferenceServerException) as raised:
        client.infer(model, [made], model_version=version)
    assert raised.value.status() == status
    assert raised.value.message()


def test_errors_without_a_client_library(server: Server) -> None:
    for path, body, headers, status in (
        ("/v2/models/tiny/infer", b"{}", {}, 400),
        ("/v2/models/tiny/infer", b"{}", {"Inference_Header_Content_Length": "x"}, 400),
        ("/v2/models/tiny/infer", b"{}", {"Content_Encoding": "gzip"}, 415),
        ("/v2/models/%74iny/infer", b"{}", {}, 400),  # the name may be quoted
        ("/v2/models/ti/ny/infer", b"{}", {}, 404),
        ("/v2/models/tiny", b"{}", {}, 405),
        ("/nowhere", b"{}", {}, 404),
    ):
        found, _, answer = post(server, path, body, **headers)
        assert (found, list(json.loads(answer))) == (status, ["error"]), path


def test_large_texts_are_read_beside_the_others(serve: Serve) -> None:
    server = serve({}, "--side", "160")
    batch = np.random.default_rng(0).integers(0, 256, (4, 160, 160, 3), dtype=np.uint8)
    with triton.InferenceServerClient(server.address) as client:
        result = client.infer("tiny", [tensor(batch, binary=False)])
        np.testing.assert_array_equal(result.as_numpy("outputs"), np.stack([outputs_of(one, 4) for one in batch]))
        with pytest.raises(triton.InferenceServerException, match="the data of 'pixels'"):
            made = tensor(batch, binary=False)
            made._data[5] = 700
            client.infer("tiny", [made])


# --- pictures --------------------------------------------------------------------------------------------------------


def picture(side: int = 20, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(stream, kind)
    return stream.getvalue()


def test_a_picture_gets_its_best_classes(server: Server) -> None:
    data = picture()
    status, _, body = post(server, "/v1/classify", data, Content_Type="image/png")
    assert status == 200, body
    said = json.loads(body)
    fitted = pixels(Image.open(io.BytesIO(data)), make_spec())
    scores = softmax(outputs_of(fitted, 4)[np.newaxis])[0]
    order = np.argsort(-scores)
    names = (*LABELS, "3")
    assert [(one["index"], one["label"]) for one in said["top"]] == [(i, names[i]) for i in order]
    assert said["score"] == pytest.approx(scores[order[0]], rel=1e-6)
    assert (said["rung"], said["stages"]) == ("int8", 1)
    assert 0 < said["engine_ms"] <= 1


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"\xff\xd8\xff", "image/jpeg", 400),
        (b"no picture", "application/octet-stream", 400),
        (picture(), "text/plain", 415),
        (picture(), "application/x-www-form-urlencoded", 415),
        (picture(), "multipart/form-data; boundary=x", 415),
        (picture(201), "image/png", 400),
    ],
)
def test_what_is_no_picture_is_refused(serve: Serve, body: bytes, media: str, status: int) -> None:
    server = serve({"image_pixels": 40_000})
    assert post(server, "/v1/classify", body, Content_Type=media)[0] == status
