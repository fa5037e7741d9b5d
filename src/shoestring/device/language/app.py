"""The server of a bundle that writes: OpenAI's API, figures, and a page for people."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shoestring.device.language import figures, refusals
from shoestring.device.language.api import Api
from shoestring.device.serve import metrics
from shoestring.device.serve.house import House, Route, page_routes
from shoestring.device.serve.http import Response, encode
from shoestring.device.serve.streams import Streams

if TYPE_CHECKING:
    from shoestring.device.language.service import WriterService
    from shoestring.device.serve.http import Refusal, Request
    from shoestring.device.serve.settings import Settings


class WriterApp(House):
    """An ASGI application for one model that writes.

    Args:
        service: that is served; closed by whoever made it.
        settings: limits, tokens, names.
        limits: times of `Api`, for tests.
    """

    def __init__(self, service: WriterService, settings: Settings, **limits: float) -> None:
        super().__init__(settings)
        self._service = service
        self.api = Api(service, settings, **limits)
        streams = Streams(service.live, settings, lambda: self.api.draining)
        self.mount(
            (
                *page_routes("openapi-language.json"),
                Route("GET", "/v2/health/live", self._alive, open_to_all=True),
                Route("GET", "/v2/health/ready", self._ready, open_to_all=True),
                Route("GET", "/v1/models", self.api.models),
                Route("GET", "/v1/models/{name}", self.api.model),
                Route("POST", "/v1/chat/completions", self.api.chat),
                Route("POST", "/v1/completions", self.api.complete),
                Route("GET", "/v1/state", streams.state),
                Route("GET", "/events", streams.events),
                Route("GET", "/metrics", self._metrics),
            )
        )

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is written."""
        return self.api.idle

    def drain(self) -> None:
        """Take no more; what is under way goes on."""
        self.api.drain()

    async def begin(self) -> None:
        """Threads come with the first answer."""
        self.api.begin()

    async def end(self) -> None:
        """Break off what is left."""
        await asyncio.get_running_loop().run_in_executor(None, self.api.close)

    def refusal(self, request: Request, refused: Refusal) -> Response:
        """In OpenAI's shape where its clients ask."""
        if request.path.startswith("/v1/") and request.path != "/v1/state":
            return refusals.response(refused)
        return super().refusal(request, refused)

    async def _alive(self, request: Request, found: dict[str, str]) -> Response:
        return Response(encode({"live": True}))

    async def _ready(self, request: Request, found: dict[str, str]) -> Response:
        ready = self.api.ready
        return Response(encode({"ready": ready, "live": True}), status=200 if ready else 503)

    async def _metrics(self, request: Request, found: dict[str, str]) -> Response:
        collected = figures.collect(self._service, self.api.queue, self._guard, self._requests, ready=self.api.ready)
        return Response(metrics.render(collected), metrics.MEDIA)


__all__ = ["WriterApp"]
