"""The Open Inference Protocol v2 over HTTP: health, metadata, inference.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring._version import __version__
from shoestring.base.errors import DataError, EngineError
from shoestring.base.outputs import softmax
from shoestring.device.serve.asking import refused
from shoestring.device.serve.http import JSON, Refusal, Response, encode
from shoestring.device.serve.tensors import INPUT, OUTPUTS, Asked, read_request, write_response

if TYPE_CHECKING:
    from shoestring.device.serve.asking import Asker
    from shoestring.device.serve.http import Request
    from shoestring.device.serve.nouns import Engine, Reply, Service
    from shoestring.device.serve.settings import Settings

LENGTH = b"inference-header-content-length"
LARGE_JSON_BYTES = 256 * 1024  # reading more text than this would keep all other clients waiting for over 5 ms


class V2:
    """The protocol's routes for one service."""

    def __init__(self, service: Service, settings: Settings, asker: Asker) -> None:
        self._service, self._settings, self._asker = service, settings, asker
        spec = service.spec
        self._shape = (spec.height, spec.width, spec.channels)
        self._names = OUTPUTS if service.boxes is None else tuple(n for n in OUTPUTS if n != "probabilities")
        self._reader: ThreadPoolExecutor | None = None

    async def server(self, request: Request, found: dict[str, str]) -> Response:
        """Metadata of the server."""
        said = {"name": "shoestring", "version": __version__, "extensions": ["binary_tensor_data"]}
        return Response(encode(said))

    async def live(self, request: Request, found: dict[str, str]) -> Response:
        """Whether the server works at all."""
        alive = self._asker.desk.alive
        return Response(encode({"live": alive}), status=200 if alive else 503)

    async def ready(self, request: Request, found: dict[str, str]) -> Response:
        """Whether requests are taken."""
        ready = self._asker.ready
        said = {"ready": ready, "live": self._asker.desk.alive}
        return Response(encode(said), status=200 if ready else 503)

    async def model(self, request: Request, found: dict[str, str]) -> Response:
        """Metadata of the model."""
        self._check(found)
        values = {"outputs": ("FP32", [-1, self._service.outputs]), "rung": ("BYTES", [-1])}
        values["probabilities"] = values["outputs"]
        said = {
            "name": self._service.name,
            "versions": [self._service.version],
            "platform": self._service.platform,
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *self._shape]}],
            "outputs": [{"name": name, "datatype": values[name][0], "shape": values[name][1]} for name in self._names],
        }
        return Response(encode(said))

    async def model_ready(self, request: Request, found: dict[str, str]) -> Response:
        """Whether the model answers."""
        self._check(found)
        ready = self._asker.ready
        return Response(encode({"name": self._service.name, "ready": ready}), status=200 if ready else 503)

    async def infer(self, request: Request, found: dict[str, str]) -> Response:
        """Answer examples."""
        self._check(found)
        body = await request.body(self._settings.body_bytes, self._settings.body_s)
        asked = await self._read(body, _length(request))
        text, json_bytes = await self._asker.ask(request, partial(self._work, request, asked), asked.timeout_s)
        if json_bytes is None:
            return Response(text, JSON)
        return Response(text, "application/octet-stream", headers=((LENGTH, str(json_bytes).encode()),))

    def close(self) -> None:
        """End the thread that reads large bodies."""
        if self._reader is not None:
            self._reader.shutdown()

    def _check(self, found: dict[str, str]) -> None:
        if found["name"] != self._service.name:
            raise Refusal(404, f"there is no model {found['name'][:80]!r}; this one is {self._service.name!r}")
        if found.get("version", self._service.version) != self._service.version:
            raise Refusal(404, f"there is no version {found['version'][:80]!r}; there is {self._service.version!r}")

    async def _read(self, body: bytes, json_bytes: int | None) -> Asked:
        read = partial(read_request, body, json_bytes, self._shape, self._settings.batch, self._names)
        try:
            if (len(body) if json_bytes is None else json_bytes) <= LARGE_JSON_BYTES:
                return read()
            if self._reader is None:
                self._reader = ThreadPoolExecutor(1, "reader")
            return await asyncio.get_running_loop().run_in_executor(self._reader, read)
        except DataError as error:
            raise refused(error) from None

    def _work(self, request: Request, asked: Asked, engine: Engine, deadline_s: float) -> tuple[bytes, int | None]:
        """In the desk's thread."""
        replies: list[Reply] = []
        for pixels in asked.pixels:
            if replies and time.monotonic() >= deadline_s:
                raise EngineError(f"the deadline passed after {len(replies)} of {len(asked.pixels)} examples")
            replies.append(engine.infer(pixels))
        self._service.live.answered(request.arrived_s, time.monotonic(), replies[-1].rung)
        head = {"model_name": self._service.name, "model_version": self._service.version}
        if asked.id is not None:
            head["id"] = asked.id
        return write_response(head, self._arrays(replies, asked), asked.outputs)

    def _arrays(self, replies: list[Reply], asked: Asked) -> dict[str, np.ndarray[Any, Any]]:
        wanted = {name for name, _ in asked.outputs}
        outputs = np.stack([checked(reply, self._service.outputs) for reply in replies])
        arrays: dict[str, np.ndarray[Any, Any]] = {"outputs": outputs}
        if "rung" in wanted:
            arrays["rung"] = np.array([reply.rung for reply in replies])
        if "probabilities" in wanted:
            rows = [probabilities(reply) for reply in replies]
            arrays["probabilities"] = np.stack(rows).astype(np.float32)
        return arrays


def checked(reply: Reply, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The outputs of a reply. Raises EngineError for another number of them, or what is not finite."""
    outputs = np.asarray(reply.outputs, np.float32).ravel()
    if outputs.size != count:
        raise EngineError(f"rung {reply.rung!r} answered {outputs.size} values, not {count}")
    if not np.isfinite(outputs).all():
        raise EngineError(f"rung {reply.rung!r} answered what is not a finite number")
    return outputs


def probabilities(reply: Reply) -> np.ndarray[Any, Any]:
    """Of the classes, whatever the rung's own outputs are."""
    return reply.outputs if reply.probabilities else softmax(np.asarray(reply.outputs)[np.newaxis])[0]


def _length(request: Request) -> int | None:
    text = request.headers.get(LENGTH)
    if text is None:
        return None
    if not (text.isdigit() and len(text) <= 12):
        raise Refusal(400, "Inference-Header-Content-Length is not a number of bytes")
    return int(text)
