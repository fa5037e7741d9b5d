"""A queue in which one client that asks much does not keep the others waiting: clients take turns."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

MOST_WAITING = 256
"""Of all clients. Each waits with its prompt in memory; at ten seconds an answer the last has waited forty minutes."""
MOST_EACH = 128
"""Of one client: a household behind one address may have as many."""


class FullError(Exception):
    """There is no place. It never leaves the service.

    Args:
        waiting: that wait now.
        most: that may.
        own: whether it is the client's own share that is full.
    """

    def __init__(self, waiting: int, most: int, *, own: bool) -> None:
        super().__init__(f"{waiting} of {most} places are taken")
        self.waiting, self.most, self.own = waiting, most, own


class FairQueue:
    """Gives `slots` turns at a time, in the order of clients that wait, one answer a client and round.

    For one event loop.

    Args:
        slots: turns at a time.
        most: that may wait, of all clients.
        each: of one client.
    """

    def __init__(self, slots: int, most: int = MOST_WAITING, each: int = MOST_EACH) -> None:
        self.slots, self.most, self._each = slots, most, each
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._count = 0
        self.busy = 0

    @property
    def waiting(self) -> int:
        """Requests that have no turn yet."""
        return self._count

    async def enter(self, client: str) -> None:
        """Wait for a turn; who has it calls `leave` in the end.

        Args:
            client: who asks: the name of a token, or a network.

        Raises:
            FullError: there is no place to wait.
        """
        if self.busy < self.slots and not self._count:
            self.busy += 1
            return
        mine = self._waiting.get(client)
        if self._count >= self.most:
            raise FullError(self._count, self.most, own=False)
        if mine is not None and len(mine) >= self._each:
            raise FullError(len(mine), self._each, own=True)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if mine is None:
            mine = self._waiting[client] = deque()
        mine.append(turn)
        self._count += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(client, turn)
            else:  # the turn came in the same moment: it is another's now
                self.leave()
            raise

    def leave(self) -> None:
        """The turn is over: the next client's oldest request has it."""
        self.busy -= 1
        while self._count and self.busy < self.slots:
            client, own = self._waiting.popitem(last=False)
            turn = own.popleft()
            self._count -= 1
            if own:
                self._waiting[client] = own  # behind all others
            if not turn.cancelled():  # one that has given up is not yet told so
                self.busy += 1
                turn.set_result(None)

    def _forget(self, client: str, turn: asyncio.Future[None]) -> None:
        own = self._waiting.get(client, deque())
        if turn not in own:  # `leave` has passed over it
            return
        own.remove(turn)
        self._count -= 1
        if not own:
            del self._waiting[client]


__all__ = ["MOST_EACH", "MOST_WAITING", "FairQueue", "FullError"]
