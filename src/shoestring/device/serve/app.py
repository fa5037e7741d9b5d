"""The routes, and what every request goes through: the guard, the route, the answer, the count."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shoestring.device.serve import metrics, pages
from shoestring.device.serve.asking import Asker
from shoestring.device.serve.classify import Classify
from shoestring.device.serve.guard import Guard
from shoestring.device.serve.http import Refusal, Request, Response, Room, refusal, respond
from shoestring.device.serve.settings import check_settings
from shoestring.device.serve.streams import Streams
from shoestring.device.serve.v2 import V2

if TYPE_CHECKING:
    from shoestring.device.serve.http import Receive, Scope, Send
    from shoestring.device.serve.nouns import Service
    from shoestring.device.serve.settings import Settings

Handler = Callable[[Request, "dict[str, str]"], Awaitable[Response]]
OTHER = "other"
"""The route that requests for unknown paths are counted under."""


@dataclass(frozen=True)
class Route:
    """One of them.

    Args:
        method: GET (HEAD goes with it) or POST.
        path: with `{name}` for parts that vary.
        handler: answers.
        open_to_all: shows nothing that needs a token.
    """

    method: str
    path: str
    handler: Handler
    open_to_all: bool = False


class App:
    """An ASGI application for one service. Make it with `build_app`.

    Attributes:
        settings: checked.
        warnings: what an operator must be told.
        routes: all of them.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self.settings = settings
        self.warnings = check_settings(settings)
        self._service = service
        self._asker = Asker(service, settings)
        self._guard = Guard(settings, time.monotonic)
        self._requests = metrics.Requests()
        self._room = Room(settings.bodies_bytes)
        self._v2 = V2(service, settings, self._asker)
        self.routes = self._all_routes(settings)
        self._fixed: dict[str, dict[str, Route]] = {}
        self._varying: dict[int, list[tuple[list[str], Route]]] = {}
        for route in self.routes:
            if "{" in route.path:
                parts = route.path.split("/")
                self._varying.setdefault(len(parts), []).append((parts, route))
            else:
                self._fixed.setdefault(route.path, {})[route.method] = route

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._asker.desk.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.drain()
        await asyncio.get_running_loop().run_in_executor(None, self._asker.desk.close)
        self._v2.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, time.monotonic(), self._room)
        name, status = OTHER, 500
        try:
            try:
                route, found, refused = self._find(request)
                name = OTHER if route is None else route.path
                self._guard.admit(request, open_to_all=route is not None and route.open_to_all)
                if route is None:
                    raise refused
                response = await route.handler(request, found)
            except Refusal as refused:
                response = refusal(refused)
            status = response.status
            await self._send(request, send, response)
        finally:
            request.close()
            self._requests.note(name, status, time.monotonic() - request.arrived_s)

    async def _send(self, request: Request, send: Send, response: Response) -> None:
        head = request.method == "HEAD"
        if isinstance(response.body, bytes):
            await respond(send, response, head=head)
            return
        # Nobody tells a server that is only sending when its client hangs up: listen for it at the same time.
        sending = asyncio.ensure_future(respond(send, response, head=head))
        gone = asyncio.ensure_future(request.gone())
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await response.body.aclose()  # type: ignore[attr-defined]

    def _find(self, request: Request) -> tuple[Route | None, dict[str, str], Refusal]:
        """The route with the varying parts of its path, or how to refuse."""
        method = "GET" if request.method == "HEAD" else request.method
        fixed = self._fixed.get(request.path)
        if fixed is not None:
            return fixed.get(method), {}, _not_so(fixed)
        parts = request.scope["raw_path"].decode("latin-1").split("/")
        others: dict[str, Route] = {}
        for template, route in self._varying.get(len(parts), ()):
            found = _match(template, parts)
            if found is not None:
                others[route.method] = route
                if route.method == method:
                    return route, found, _not_so(others)
        return None, {}, _not_so(others)

    def _all_routes(self, settings: Settings) -> tuple[Route, ...]:
        v2, service = self._v2, self._service
        streams = Streams(service, settings, self._asker)
        model = "/v2/models/{name}"
        version = model + "/versions/{version}"
        return (
            Route("GET", "/", pages.live_page, open_to_all=True),
            Route("GET", "/live.css", pages.style, open_to_all=True),
            Route("GET", "/live.js", pages.script, open_to_all=True),
            Route("GET", "/docs", pages.docs, open_to_all=True),
            Route("GET", "/openapi.json", pages.openapi, open_to_all=True),
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


def _match(template: list[str], parts: list[str]) -> dict[str, str] | None:
    """What stands in the place of each varying part, or None; both are of one length."""
    found: dict[str, str] = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{"):
            found[wanted[1:-1]] = unquote(part)
        elif wanted != part:
            return None
    return found


def _not_so(others: dict[str, Route]) -> Refusal:
    """404, or 405 with the methods that there are."""
    if not others:
        return Refusal(404, "there is no such path; /docs shows those that there are")
    allowed = ", ".join(method for one in sorted(others) for method in ((one, "HEAD") if one == "GET" else (one,)))
    return Refusal(405, f"this path takes {allowed}", (b"allow", allowed.encode()))
