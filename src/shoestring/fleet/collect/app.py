"""The collector's routes: `POST /v1/reports`, and whether it is well."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from shoestring.device.serve.guard import Guard
from shoestring.device.serve.http import Refusal, Request, Response, Room, encode, refusal, respond
from shoestring.device.serve.settings import check_settings
from shoestring.fleet.collect.reception import Unwelcome
from shoestring.trust.sealed_report import MAX_SEALED_BYTES

if TYPE_CHECKING:
    from shoestring.device.serve.http import Receive, Scope, Send
    from shoestring.device.serve.settings import Settings
    from shoestring.fleet.collect.reception import Reception

REPORTS, WELL = "/v1/reports", "/v1/health"
STATUS = {"form": 400, "signature": 400, "number": 422, "stranger": 403, "busy": 503, "disk": 503}
"""400 and 422: the same bytes would be refused for ever, and the device drops them. The others it keeps."""
BUSY_S = b"30"


class CollectApp:
    """An ASGI application that takes reports.

    Args:
        reception: where they go; it is closed with the application.
        settings: limits, tokens, names.

    Attributes:
        warnings: what an operator must be told.

    Raises:
        UsageError: the settings make no sense, or open the collector to others without tokens and TLS.
    """

    def __init__(self, reception: Reception, settings: Settings) -> None:
        self.settings, self.warnings = settings, check_settings(settings)
        self._reception = reception
        self._guard = Guard(settings, time.monotonic)
        self._room = Room(settings.bodies_bytes)
        self._draining = False
        self._under_way = 0

    @property
    def idle(self) -> bool:
        """Whether no report is under way."""
        return self._under_way == 0

    def drain(self) -> None:
        """Take no more; those under way are kept."""
        self._draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.drain()
            await asyncio.get_running_loop().run_in_executor(None, self._reception.close)
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            await self._answer(Request(scope, receive, time.monotonic(), self._room), send)

    async def _answer(self, request: Request, send: Send) -> None:
        self._under_way += 1
        try:
            try:
                self._guard.admit(request, open_to_all=request.path == WELL)
                response = await self._route(request)
            except Refusal as refused:
                response = refusal(refused)
            await respond(send, response, head=request.method == "HEAD")
        finally:
            request.close()
            self._under_way -= 1

    async def _route(self, request: Request) -> Response:
        allowed = {REPORTS: ("POST",), WELL: ("GET", "HEAD")}.get(request.path)
        if allowed is None:
            raise Refusal(404, f"there is no such path; reports go to {REPORTS}")
        if request.method not in allowed:
            words = ", ".join(allowed)
            raise Refusal(405, f"this path takes {words}", (b"allow", words.encode()))
        if request.path == WELL:
            well = self._reception.trouble is None and not self._draining
            return Response(encode({"ok": well}), status=200 if well else 503)
        if self._draining:
            raise Refusal(503, "the collector is ending", (b"retry-after", BUSY_S))
        data = await request.body(min(MAX_SEALED_BYTES, self.settings.body_bytes), self.settings.body_s)
        try:
            became = await asyncio.wrap_future(self._reception.take(data))
        except Unwelcome as unwelcome:
            more = ((b"retry-after", BUSY_S),) if unwelcome.kind in ("busy", "disk") else ()
            raise Refusal(STATUS[unwelcome.kind], unwelcome.words, *more) from None
        return Response(encode({"report": became}))
