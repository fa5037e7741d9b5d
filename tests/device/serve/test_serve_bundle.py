"""A real bundle behind the server answers as it does alone; so does a null engine, and a detector gives boxes."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from factory import make_bundle_parts
from serving import PlainEngine, make_service, outputs_of
from shoestring.bundle import open_bundle, pack
from shoestring.device.loading import Loaded
from shoestring.device.pipelines.nouns import Box
from shoestring.device.serve import App, Settings, build_app, service_of

httpx = pytest.importorskip("httpx")


@dataclass(frozen=True)
class Reply:
    outputs: np.ndarray
    rung: str
    busy_s: float
    stages: int
    probabilities: bool


class RungEngine:
    """One rung of a bundle, as it is loaded on a device."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def infer(self, pixels: np.ndarray) -> Reply:
        outputs = self._loaded.single.infer(pixels)
        return Reply(outputs, self._loaded.rung.name, 0.001, 1, self._loaded.probabilities)


def ask(app: App, method: str, path: str, **more: Any) -> Any:
    """One request, without a network."""

    async def go() -> Any:
        app._asker.desk.start()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.request(method, path, **more)
        app._asker.desk.close()
        return answer

    return asyncio.run(go())


def test_golden_inputs_get_their_golden_outputs(tmp_path: Path) -> None:
    parts = make_bundle_parts()
    pack(tmp_path / "a.shoe", parts.manifest, parts.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        manifest = bundle.manifest
        rung = manifest.ladder.rung("int8")
        loaded = Loaded(bundle, rung, 1, None)
    service = service_of(manifest, RungEngine(loaded))
    assert (service.outputs, service.labels) == (len(manifest.labels), manifest.labels)
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": list(parts.golden_images.shape)}
    body = {"inputs": [{**tensor, "data": parts.golden_images.ravel().tolist()}]}
    answer = ask(build_app(service, Settings()), "POST", f"/v2/models/{manifest.name}/infer", json=body)
    assert answer.status_code == 200, answer.text
    outputs = {one["name"]: one for one in answer.json()["outputs"]}
    found = np.float32(outputs["outputs"]["data"]).reshape(outputs["outputs"]["shape"])
    np.testing.assert_allclose(found, parts.golden_outputs["int8"], atol=manifest.golden.tolerance["int8"])
    assert outputs["rung"]["data"] == ["int8"] * len(found)
    loaded.close()


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), (200, 10, 10)).save(stream, "PNG")
    return stream.getvalue()


def test_a_detector_answers_boxes_and_has_no_probabilities() -> None:
    seen = []

    def boxes(outputs: np.ndarray, size: tuple[int, int]) -> tuple[Box, ...]:
        seen.append((outputs, size))
        return (Box(0.1, 0.2, 0.3, 0.4, 1, "dog", 0.75),)

    app = build_app(make_service(boxes=boxes), Settings())
    answer = ask(app, "POST", "/v1/classify", content=png(), headers={"content-type": "image/png"})
    assert answer.json()["boxes"] == [
        {"left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.4, "index": 1, "label": "dog", "score": 0.75}
    ]
    red = np.full((8, 8, 3), (200, 10, 10), np.uint8)
    np.testing.assert_array_equal(seen[0][0], outputs_of(red, 4))
    assert seen[0][1] == (30, 20)
    model = ask(build_app(make_service(boxes=boxes), Settings()), "GET", "/v2/models/tiny").json()
    assert [one["name"] for one in model["outputs"]] == ["outputs", "rung"]


@pytest.mark.parametrize("spoil", [lambda a: a * np.nan, lambda a: a[:-1], lambda a: a * np.float32(np.inf)])
def test_an_engine_that_answers_nonsense_is_an_error_and_no_answer(spoil: Any) -> None:
    class Spoilt(PlainEngine):
        def infer(self, pixels: np.ndarray) -> Any:
            said = super().infer(pixels)
            return type(said)(spoil(said.outputs))

    for path, more in (
        ("/v1/classify", {"content": png(), "headers": {"content-type": "image/png"}}),
        (
            "/v2/models/tiny/infer",
            {"json": {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": [1] * 192}]}},
        ),
    ):
        answer = ask(build_app(make_service(Spoilt(4, 0.0)), Settings()), "POST", path, **more)
        assert answer.status_code == 500
        assert list(json.loads(answer.text)) == ["error"]


def test_the_service_says_whether_it_is_ready() -> None:
    app = build_app(make_service(ready=lambda: False), Settings())
    answer = ask(app, "GET", "/v2/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "live": True})
