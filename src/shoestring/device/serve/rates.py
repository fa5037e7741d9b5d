"""Token buckets: how many requests a client may send, and all clients together."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST_S = 2.0
"""A client that was quiet may send this many seconds' worth at once: a page loads several files."""
LEAST_BURST = 10.0
CLIENTS = 4096
"""Remembered; a client that is forgotten starts with a full bucket, so the bucket of all still holds."""


class Bucket:
    """Fills at a rate, and gives one drop a request.

    Args:
        rate: drops a second.
        now: s.
    """

    __slots__ = ("_at_s", "_depth", "_level", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._depth = rate, max(LEAST_BURST, rate * BURST_S)
        self._level, self._at_s = self._depth, now

    def take(self, now: float) -> float:
        """0 when there was a drop; else the seconds until there is one."""
        self._level = min(self._depth, self._level + (now - self._at_s) * self._rate)
        self._at_s = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate


class Rates:
    """Buckets of the clients, and one of all.

    Args:
        client_rate: requests a second of one client.
        whole_rate: of all together.
        clock: monotonic, s.
    """

    def __init__(self, client_rate: float, whole_rate: float, clock: Callable[[], float]) -> None:
        self._client_rate, self._clock = client_rate, clock
        self._whole = Bucket(whole_rate, clock())
        self._clients: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """0 when a request from this address may pass; else the seconds to wait.

        A client above its own rate takes nothing from the others.
        """
        now = self._clock()
        client = network(address)
        bucket = self._clients.get(client)
        if bucket is None:
            bucket = self._clients[client] = Bucket(self._client_rate, now)
            if len(self._clients) > CLIENTS:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(client)
        return bucket.take(now) or self._whole.take(now)


def network(address: str) -> str:
    """Who counts as one client: an IPv4 address, or an IPv6 network of 64 bits, which one household has as a whole."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped) if found.ipv4_mapped else str(found.exploded[:19])
