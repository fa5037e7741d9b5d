"""The routes of a model that answers pictures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shoestring.device.serve import metrics
from shoestring.device.serve.asking import Asker
from shoestring.device.serve.classify import Classify
from shoestring.device.serve.house import House, Route, page_routes
from shoestring.device.serve.http import Response
from shoestring.device.serve.streams import Streams
from shoestring.device.serve.v2 import V2

if TYPE_CHECKING:
    from shoestring.device.serve.http import Request
    from shoestring.device.serve.nouns import Service
    from shoestring.device.serve.settings import Settings


class App(House):
    """An ASGI application for one service. Make it with `build_app`."""

    def __init__(self, service: Service, settings: Settings) -> None:
        super().__init__(settings)
        self._service = service
        self._asker = Asker(service, settings)
        self._v2 = V2(service, settings, self._asker)
        self.mount(self._all_routes(settings))

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self._asker.ready

    @property
    def idle(self) -> bool:
        """Whether no request waits for the engine or is with it."""
        return self._asker.desk.idle

    def drain(self) -> None:
        """Take no more; those under way go on."""
        self._asker.draining = True

    async def begin(self) -> None:
        """Start the desk."""
        self._asker.desk.start()

    async def end(self) -> None:
        """End it."""
        await asyncio.get_running_loop().run_in_executor(None, self._asker.desk.close)
        self._v2.close()

    def _all_routes(self, settings: Settings) -> tuple[Route, ...]:
        v2, service = self._v2, self._service
        streams = Streams(service.live, settings, lambda: self._asker.draining)
        model = "/v2/models/{name}"
        version = model + "/versions/{version}"
        return (
            *page_routes(),
            Route("GET", "/v2/health/live", v2.live, open_to_all=True),
            Route("GET", "/v2/health/ready", v2.ready, open_to_all=True),
            Route("GET", "/v2", v2.server),
            *(Route("GET", path, v2.model) for path in (model, version)),
            *(Route("GET", f"{path}/ready", v2.model_ready) for path in (model, version)),
            *(Route("POST", f"{path}/infer", v2.infer) for path in (model, version)),
            Route("POST", "/v1/classify", Classify(service, settings, self._asker).classify),
            Route("GET", "/v1/state", streams.state),
            Route("GET", "/events", streams.events),
            Route("GET", "/picture.jpg", streams.picture),
            Route("GET", "/picture.mjpeg", streams.moving),
            Route("GET", "/metrics", self._metrics),
        )

    async def _metrics(self, request: Request, found: dict[str, str]) -> Response:
        collected = metrics.collect(
            self._service, self._asker.desk, self._guard, self._requests, ready=self.ready, queue=self.settings.queue
        )
        return Response(metrics.render(collected), metrics.MEDIA)


def build_app(service: Service, settings: Settings) -> App:
    """The application that serves one model, its figures and its live page.

    Args:
        service: what is served.
        settings: limits, tokens, names.

    Raises:
        UsageError: the settings make no sense, or open the server to others without tokens and TLS.
    """
    return App(service, settings)
