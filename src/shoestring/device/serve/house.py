"""What every server of ours is: the guard, the routes, the answer, the count."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shoestring.device.serve import metrics, pages
from shoestring.device.serve.guard import Guard
from shoestring.device.serve.http import Refusal, Request, Response, Room, refusal, respond
from shoestring.device.serve.settings import check_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.device.serve.http import Receive, Scope, Send
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


class House(ABC):
    """An ASGI application without a model: it finds the route, lets in, answers, counts.

    Args:
        settings: limits, tokens, names.

    Attributes:
        settings: checked.
        warnings: what an operator must be told.
        routes: all of them.

    Raises:
        UsageError: the settings make no sense, or open the server to others without tokens and TLS.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.warnings = check_settings(settings)
        self._guard = Guard(settings, time.monotonic)
        self._requests = metrics.Requests()
        self._room = Room(settings.bodies_bytes)
        self.routes: tuple[Route, ...] = ()
        self._fixed: dict[str, dict[str, Route]] = {}
        self._varying: dict[int, list[tuple[list[str], Route]]] = {}

    def mount(self, routes: Iterable[Route]) -> None:
        """Answer these."""
        for route in routes:
            self.routes += (route,)
            if "{" in route.path:
                parts = route.path.split("/")
                self._varying.setdefault(len(parts), []).append((parts, route))
            else:
                self._fixed.setdefault(route.path, {})[route.method] = route

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nothing is under way."""

    @abstractmethod
    def drain(self) -> None:
        """Take no more; what is under way goes on."""

    @abstractmethod
    async def begin(self) -> None:
        """Start what answers. Before the first request."""

    @abstractmethod
    async def end(self) -> None:
        """Free it. After the last one."""

    def refusal(self, request: Request, refused: Refusal) -> Response:
        """How a refusal is said to this request."""
        return refusal(refused)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.drain()
        await self.end()
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
                response = self.refusal(request, refused)
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


def page_routes(description: str = "openapi.json") -> tuple[Route, ...]:
    """The pages that every server of ours has; `description` is the file that describes its routes."""
    described = pages.Described(description)
    return (
        Route("GET", "/", pages.live_page, open_to_all=True),
        Route("GET", "/live.css", pages.style, open_to_all=True),
        Route("GET", "/live.js", pages.script, open_to_all=True),
        Route("GET", "/docs", described.docs, open_to_all=True),
        Route("GET", "/openapi.json", described.openapi, open_to_all=True),
    )


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
