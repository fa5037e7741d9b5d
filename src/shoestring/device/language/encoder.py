"""The server of an encoder of text: embeddings in OpenAI's form, and any encoder in the Open Inference Protocol.

Source of the second: kserve/open-inference-protocol, specification/protocol/inference_rest.md; texts are BYTES tensors.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from shoestring._version import __version__
from shoestring.base.errors import ShoestringError
from shoestring.device.language import refusals
from shoestring.device.language.api import MAX_BODY_BYTES
from shoestring.device.language.delivery import FULL_S, WAIT_S
from shoestring.device.language.embedding import embedding_answer, read_embedding
from shoestring.device.language.fair import FairQueue, FullError
from shoestring.device.language.fields import Fields, shown
from shoestring.device.language.refusals import ApiRefusal, bad, later, of_error
from shoestring.device.serve import metrics
from shoestring.device.serve.house import House, Route, page_routes
from shoestring.device.serve.http import Refusal, Response, encode
from shoestring.device.serve.live import LiveState
from shoestring.device.serve.rates import network
from shoestring.device.serve.streams import Streams
from shoestring.device.serve.tokens import who

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from shoestring.device.serve.http import Request
    from shoestring.device.serve.settings import Settings

TEXT = "text"
"""What the input is called in the Open Inference Protocol."""


class Encoder(Protocol):
    """Reads texts; called from one thread."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors, float32 (texts, dimensions)."""
        ...

    def classify(self, texts: Sequence[str]) -> Sequence[tuple[str, float]]:
        """Label and score of each."""
        ...

    def count(self, texts: Sequence[str]) -> tuple[int, tuple[int, ...]]:
        """Tokens that are read of them, and the places of texts that are cut."""
        ...


@dataclass(frozen=True)
class EncoderService:
    """One encoder behind the server.

    Args:
        name: of the model.
        rung: that runs.
        encoder: of it.
        dimensions: of its vectors; None: it classifies.
        live: what the page shows.
    """

    name: str
    rung: str
    encoder: Encoder
    dimensions: int | None
    live: LiveState = field(default_factory=lambda: LiveState("encoder"))


class EncoderApp(House):
    """An ASGI application for one encoder of text.

    Args:
        service: that is served; closed by whoever made it.
        settings: limits, tokens, names.
    """

    def __init__(self, service: EncoderService, settings: Settings) -> None:
        super().__init__(settings)
        self._service = service
        self._queue = FairQueue(1)
        self._pool = ThreadPoolExecutor(1, "encoder")
        self._created = int(time.time())
        self._draining = False
        streams = Streams(service.live, settings, lambda: self._draining)
        embeds = service.dimensions is not None
        self.mount(
            (
                *page_routes("openapi-encoder.json"),
                Route("GET", "/v2/health/live", self._alive, open_to_all=True),
                Route("GET", "/v2/health/ready", self._ready, open_to_all=True),
                Route("GET", "/v2", self._server),
                Route("GET", "/v2/models/{name}", self._metadata),
                Route("POST", "/v2/models/{name}/infer", self._infer),
                *((Route("POST", "/v1/embeddings", self._embed),) if embeds else ()),
                Route("GET", "/v1/models", self._models),
                Route("GET", "/v1/state", streams.state),
                Route("GET", "/events", streams.events),
                Route("GET", "/metrics", self._metrics),
            )
        )

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is read."""
        return not self._queue.busy

    def drain(self) -> None:
        """Take no more; what is under way goes on."""
        self._draining = True

    async def begin(self) -> None:
        """The thread comes with the first request."""

    async def end(self) -> None:
        """End it."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)

    def refusal(self, request: Request, refused: Refusal) -> Response:
        """In OpenAI's shape where its clients ask."""
        if request.path in ("/v1/embeddings", "/v1/models"):
            return refusals.response(refused)
        return super().refusal(request, refused)

    async def _embed(self, request: Request, found: dict[str, str]) -> Response:
        service = self._service
        ask = read_embedding(await self._body(request), service.dimensions or 0)
        if ask.model not in (service.name, f"{service.name}:{service.rung}"):
            words = f"there is no model {ask.model[:80]!r}; this is {service.name}"
            raise ApiRefusal(404, words, param="model", code="model_not_found")

        def work() -> dict[str, Any]:
            tokens, cut = service.encoder.count(ask.texts)
            return embedding_answer(ask, service.name, service.rung, service.encoder.embed(ask.texts), tokens, cut)

        return Response(encode(await self._do(request, work)))

    async def _infer(self, request: Request, found: dict[str, str]) -> Response:
        self._check(found["name"])
        texts, named = read_infer(await self._body(request))

        def work() -> dict[str, Any]:
            return self._outputs(texts)

        said = {"model_name": self._service.name, "model_version": "1", **(await self._do(request, work))}
        return Response(encode(said if named is None else {**said, "id": named}))

    def _outputs(self, texts: tuple[str, ...]) -> dict[str, Any]:
        service, count = self._service, len(texts)
        rung = _tensor("rung", "BYTES", [count], [service.rung] * count)
        if service.dimensions is not None:
            rows = service.encoder.embed(texts)
            return {"outputs": [_tensor("outputs", "FP32", list(rows.shape), rows.ravel().tolist()), rung]}
        found = service.encoder.classify(texts)
        labels = _tensor("label", "BYTES", [count], [label for label, _ in found])
        return {"outputs": [labels, _tensor("score", "FP32", [count], [score for _, score in found]), rung]}

    async def _do(self, request: Request, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """In the encoder's thread, in a fair turn."""
        client = who(self.settings.tokens, request.headers.get(b"authorization")) or network(request.address)
        try:
            async with asyncio.timeout(WAIT_S):
                await self._queue.enter(client)
        except FullError as full:
            words = f"{full.waiting} requests wait already, the limit is {full.most}; ask again later"
            raise later(words, FULL_S, status=429, code="queue_full") from None
        except TimeoutError:
            raise later(f"no turn within {WAIT_S:g} s", FULL_S, code="queue_timeout") from None
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        running.add_done_callback(lambda _: self._queue.leave())  # also when nobody waits for it any more
        try:
            said = await asyncio.shield(running)
        except ShoestringError as error:
            raise of_error(error) from None
        self._service.live.answered(request.arrived_s, time.monotonic(), self._service.rung)
        return said

    async def _body(self, request: Request) -> bytes:
        if self._draining:
            raise later("the server is ending", 1)
        media = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media != b"application/json":  # a form of another site cannot send this
            raise ApiRefusal(415, f"content type {media.decode('latin-1')[:60]!r} is not taken; send application/json")
        return await request.body(min(MAX_BODY_BYTES, self.settings.body_bytes), self.settings.body_s)

    def _check(self, name: str) -> None:
        if name != self._service.name:
            raise Refusal(404, f"there is no model {name[:80]!r}; this one is {self._service.name!r}")

    async def _models(self, request: Request, found: dict[str, str]) -> Response:
        model = {"id": self._service.name, "object": "model", "created": self._created, "owned_by": "shoestring"}
        return Response(encode({"object": "list", "data": [model]}))

    async def _server(self, request: Request, found: dict[str, str]) -> Response:
        return Response(encode({"name": "shoestring", "version": __version__, "extensions": []}))

    async def _metadata(self, request: Request, found: dict[str, str]) -> Response:
        self._check(found["name"])
        wide = self._service.dimensions
        values = (
            [("outputs", "FP32", [-1, wide])]
            if wide is not None
            else [("label", "BYTES", [-1]), ("score", "FP32", [-1])]
        )
        outputs = [*values, ("rung", "BYTES", [-1])]
        said = {
            "name": self._service.name,
            "versions": ["1"],
            "platform": "shoestring",
            "inputs": [{"name": TEXT, "datatype": "BYTES", "shape": [-1]}],
            "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in outputs],
        }
        return Response(encode(said))

    async def _alive(self, request: Request, found: dict[str, str]) -> Response:
        return Response(encode({"live": True}))

    async def _ready(self, request: Request, found: dict[str, str]) -> Response:
        ready = not self._draining
        return Response(encode({"ready": ready, "live": True}), status=200 if ready else 503)

    async def _metrics(self, request: Request, found: dict[str, str]) -> Response:
        live = self._service.live
        found_ = [
            *metrics.begins(self._service.name, self._requests, ready=not self._draining),
            *metrics.queued(self._queue.waiting, self._queue.most),
            metrics.many("requests_refused_total", "counter", "Requests not let in.", "reason", self._guard.refused),
            metrics.one("answers_total", "counter", "Requests that were answered.", live.counts()["answered"]),
            *metrics.governed(live),
        ]
        return Response(metrics.render(found_), metrics.MEDIA)


def read_infer(body: bytes) -> tuple[tuple[str, ...], str | None]:
    """Texts and id of a request of the Open Inference Protocol. Raises ApiRefusal that names the field."""
    fields = Fields(body)
    named = fields.text("id")
    fields.ignore("parameters", "outputs")
    inputs = fields.take("inputs")
    fields.done()
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise bad("inputs", f"inputs is {shown(inputs)}, not one tensor")
    tensor = Fields(inputs[0], "inputs[0].")
    name, kind, shape, data = (tensor.take(one) for one in ("name", "datatype", "shape", "data"))
    tensor.ignore("parameters")
    tensor.done()
    if (name, kind) != (TEXT, "BYTES"):
        raise bad("inputs", f"the input is {shown(name)} of {shown(kind)}, it must be {TEXT!r} of BYTES")
    if not isinstance(data, list) or not data or not all(isinstance(text, str) and text for text in data):
        raise bad("inputs", "the data is not a list of texts")
    if shape != [len(data)]:
        raise bad("inputs", f"the shape is {shown(shape)}, and {len(data)} texts came")
    return tuple(data), named


def _tensor(name: str, kind: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": shape, "data": data}


__all__ = ["Encoder", "EncoderApp", "EncoderService", "read_infer"]
