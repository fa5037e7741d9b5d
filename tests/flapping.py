"""A link that nobody would buy: it goes down for seconds, cuts connections at random bytes, and lets some starve."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from dataclasses import dataclass, field

STARVED_S = 60.0
"""Of a connection that is let starve; whoever waits for it gives up before."""
PIECE_BYTES = 16 * 1024


@dataclass(frozen=True)
class Weather:
    """What the link does.

    Args:
        cut: share of connections that are cut after some bytes.
        starve: share of connections that stand still after some bytes.
        bytes: least and most of these bytes; drawn evenly on a scale of powers.
        up_s, down_s: means of how long the link is up and down; down_s 0: it never is.
    """

    cut: float = 0.3
    starve: float = 0.0
    bytes: tuple[int, int] = (1, 50_000)
    up_s: float = 20.0
    down_s: float = 3.0


@dataclass
class Counts:
    """What happened so far."""

    connections: int = 0
    cut: int = 0
    starved: int = 0
    refused: int = 0
    flaps: int = 0
    bytes: int = 0
    broken: int = field(default=0)


class Link:
    """A TCP proxy to a port of this machine, in a thread of its own.

    Args:
        target: port behind it.
        weather: of it.
        seed: of all that is drawn.

    Attributes:
        port: to connect to.
        counts: so far.
    """

    def __init__(self, target: int, weather: Weather, seed: int) -> None:
        self._target, self._weather = target, weather
        self._rng = random.Random(seed)
        self.counts = Counts()
        self.port = 0
        self._up = True
        self._open: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="link", daemon=True)
        self._thread.start()
        started.wait()

    def calm(self) -> None:
        """Fine weather from now on."""
        self._weather = Weather(cut=0.0, down_s=0.0)
        self._up = True

    def close(self) -> None:
        """The end of it; a second call does nothing."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    async def _serve(self, started: threading.Event) -> None:
        self._ending = asyncio.Event()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        flapping = asyncio.create_task(self._flap())
        await self._ending.wait()
        flapping.cancel()
        server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(flapping, *self._open, return_exceptions=True)

    async def _flap(self) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self._weather.up_s))
            if self._weather.down_s == 0:
                continue
            self._up = False
            self.counts.flaps += 1
            self.counts.broken += len(self._open)
            for task in tuple(self._open):
                task.cancel()
            await asyncio.sleep(self._rng.expovariate(1 / self._weather.down_s))
            self._up = True

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        if not self._up:
            self.counts.refused += 1
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        ends = [writer]
        try:
            await self._carry(reader, ends)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            for end in ends:
                end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, ends: list[asyncio.StreamWriter]) -> None:
        fate, (low, high) = self._rng.random(), self._weather.bytes
        budget = int(low * (high / low) ** self._rng.random())
        cut, starve = fate < self._weather.cut, fate < self._weather.cut + self._weather.starve
        left = [budget if cut or starve else 1 << 62]
        back, far = await asyncio.open_connection("127.0.0.1", self._target)
        near = ends[0]
        ends.append(far)
        ways = [asyncio.create_task(self._pass(*way, left)) for way in ((reader, far), (back, near))]
        try:
            await asyncio.gather(*ways)
            return
        except _BudgetOver:
            if cut:
                self.counts.cut += 1
                return
            self.counts.starved += 1
        finally:
            for way in ways:
                way.cancel()
        await asyncio.sleep(STARVED_S)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]) -> None:
        while piece := await reader.read(PIECE_BYTES):
            sent = piece[: left[0]]
            left[0] -= len(sent)
            self.counts.bytes += len(sent)
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            if left[0] == 0:
                raise _BudgetOver
        if writer.can_write_eof():
            writer.write_eof()


class _BudgetOver(Exception):  # noqa: N818 - a fate, not an error
    """The bytes of this connection are spent."""


__all__ = ["Counts", "Link", "Weather"]
