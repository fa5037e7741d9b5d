"""Listen, serve, and end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from shoestring.base.errors import MissingExtraError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from shoestring.device.serve.settings import Settings

SWITCH_S = 0.001
"""Two threads of Python take turns this often: with the usual 5 ms an answer would wait that long for the network."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Served(Protocol):
    """An ASGI 3 application that can end in good order.

    Attributes:
        warnings: what an operator must be told.
    """

    warnings: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""

    def drain(self) -> None:
        """Take no more; what is under way goes on."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection or request."""


def run_server(
    app: Served,
    settings: Settings,
    *,
    say: Callable[[str], None] | None = None,
    started: Callable[[int], None] | None = None,
    beat: Callable[[], None] = lambda: None,
    leave: Callable[[], bool] = lambda: False,
) -> bool:
    """Serve until SIGTERM, SIGINT or `leave`; then refuse what is new, finish what is under way, and return.

    A second SIGINT ends it at once. Call it in the main thread.

    Args:
        app: of `build_app`, with the same settings.
        settings: where to listen.
        say: takes lines for people; by default they go to stderr.
        started: told the port once connections are taken.
        beat: called about ten times a second while the server moves.
        leave: asked as often; True ends it as a signal does.

    Returns:
        Whether a signal came: then this process shall end.

    Raises:
        MissingExtraError: uvicorn or httptools is not installed.
        UsageError: the certificate or its key is none.
        StorageError: the address cannot be listened on.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # broken requests must not fill a journal
    speak = say if say is not None else _stderr
    for warning in app.warnings:
        speak(warning)
    server = _server(app, settings, speak, started or (lambda port: None), beat, leave)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with asyncio.Runner(loop_factory=lambda: _Loop(settings.headers_s)) as runner:
            runner.run(server.serve(sockets=[_listen(settings)]))
    finally:
        sys.setswitchinterval(before)
    return bool(server.signalled)


class _Loop(asyncio.SelectorEventLoop):
    """A loop that does not wait for ever for the handshake of TLS.

    Args:
        handshake_s: that it may take; asyncio waits for a minute, and uvicorn has no setting for it.
    """

    def __init__(self, handshake_s: float) -> None:
        super().__init__()
        self._handshake_s = handshake_s

    async def create_server(self, *arguments: Any, **named: Any) -> Any:
        """As asyncio's."""
        if named.get("ssl") is not None:
            named["ssl_handshake_timeout"] = self._handshake_s
        return await super().create_server(*arguments, **named)


def _server(
    app: Served,
    settings: Settings,
    speak: Callable[[str], None],
    started: Callable[[int], None],
    beat: Callable[[], None],
    leave: Callable[[], bool],
) -> Any:
    try:
        import httptools  # noqa: F401 - uvicorn would fall back on a slower parser without a word
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(error.name or "uvicorn", "serve") from None
    from shoestring.device.serve.connection import connection_class

    class Server(uvicorn.Server):
        """uvicorn's server, with a drain before its end."""

        end_by_s: float | None = None
        signalled = False

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            speak(f"serving on {settings.scheme}://{host}:{port}")
            started(port)

        def end(self) -> None:
            app.drain()
            self.end_by_s = time.monotonic() + settings.drain_s
            speak("ending: nothing new is taken, what is under way is finished")

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.signalled = True
            if self.end_by_s is None:
                self.end()
            elif sig == signal.SIGINT:
                self.should_exit = self.force_exit = True

        async def on_tick(self, counter: int) -> bool:
            beat()
            if self.end_by_s is None and leave():
                self.end()
            if self.end_by_s is not None and (app.idle or time.monotonic() >= self.end_by_s):
                return True
            return await super().on_tick(counter)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {one: signal.signal(one, self.handle_exit) for one in _SIGNALS}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

    return Server(
        uvicorn.Config(
            app,
            http=connection_class(settings),
            loop="asyncio",
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=settings.connections,
            timeout_keep_alive=round(settings.idle_s) or 1,
            timeout_graceful_shutdown=2,
            **_tls(settings),
        )
    )


def _tls(settings: Settings) -> dict[str, Any]:
    """uvicorn's settings for TLS; its context takes nothing older than TLS 1.2."""
    if settings.certificate is None or settings.key is None:
        return {}
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"{settings.certificate} and {settings.key} are not a certificate and its key: {error}",
            hint="give PEM files that belong together, the key without a password",
        ) from None
    return {"ssl_certfile": settings.certificate, "ssl_keyfile": settings.key}


def _listen(settings: Settings) -> Any:
    import socket

    host = settings.host.strip("[]")
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named: else every answer waits 40 ms.
        listening = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise StorageError(
            f"cannot listen on {host} port {settings.port}: {error.strerror or error}",
            hint="another program may have that port; give --port another number",
        ) from None
    listening.setblocking(False)
    return listening


def _stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
