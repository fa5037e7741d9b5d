"""How the server meets the network. Loopback alone needs nothing; anything else needs tokens and TLS."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.base.limits import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.device.serve.tokens import Token

_ABOVE_ZERO = (
    ("body_bytes", 1), ("bodies_bytes", 1), ("image_pixels", 1), ("batch", 1), ("queue", 1),
    ("client_rate", 0), ("whole_rate", 0),
    ("connections", 1), ("client_connections", 1), ("streams", 1), ("headers_s", 0), ("body_s", 0), ("idle_s", 0),
    ("write_s", 0), ("deadline_s", 0), ("drain_s", 0),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Limits of the server. Times in seconds, rates in requests a second; bursts of two seconds' worth are let through.

    Args:
        host: address to listen on.
        port: 0 takes any free one.
        names: that clients may call this machine by, besides IP addresses and `localhost`. Others are refused: a
            foreign web page could otherwise reach us under a name of its own (DNS rebinding).
        tokens: whoever has one of them may ask; empty: everybody may.
        certificate: PEM file with the chain, for TLS.
        key: PEM file with its private key.
        insecure: lets a host other than loopback go without tokens or TLS.
        body_bytes: of one request; bodies_bytes: of all requests under way.
        image_pixels: of one picture sent to `/v1/classify`, width times height.
        batch: examples in one request.
        queue: requests that wait for the engine; one more, and the oldest is dropped.
        client_rate: requests a second of one client: an IPv4 address, or an IPv6 network of 64 bits.
        whole_rate: of all clients together.
        connections: open at a time; client_connections: of them from one client.
        streams: of events or pictures, at a time.
        headers_s: for the head of a request; body_s: for its body; idle_s: between two requests of a connection.
        write_s: for a client to take what it was sent.
        deadline_s: from the arrival of a request to its answer.
        drain_s: for requests under way when the server is told to end.
    """

    host: str = "127.0.0.1"
    port: int = 8400
    names: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False
    body_bytes: int = 16 * MIB
    bodies_bytes: int = 64 * MIB
    image_pixels: int = 16_000_000
    batch: int = 16
    queue: int = 16
    client_rate: float = 100.0
    whole_rate: float = 500.0
    connections: int = 128
    client_connections: int = 32
    streams: int = 8
    headers_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 30.0
    write_s: float = 20.0
    deadline_s: float = 10.0
    drain_s: float = 20.0

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach us."""
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"


def check_settings(settings: Settings) -> tuple[str, ...]:
    """What an operator must be told loudly; empty when all is well.

    Raises:
        UsageError: a limit makes no sense, a certificate comes without its key, or the host is open to others without
            tokens and TLS and `insecure` was not asked for.
    """
    for name, least in _ABOVE_ZERO:
        value = getattr(settings, name)
        if not (math.isfinite(value) and value > 0 and value >= least):
            raise UsageError(f"{name} is {value}, it must be a number above zero")
    if not 0 <= settings.port <= 65535:
        raise UsageError(f"port {settings.port} is outside 0..65535", hint="write --port 8400")
    if (settings.certificate is None) != (settings.key is None):
        raise UsageError("TLS needs both a certificate and its key", hint="give --certificate FILE and --key FILE")
    for path in (settings.certificate, settings.key):
        if path is not None and not path.is_file():
            raise UsageError(f"{path} is not a file", hint="name a PEM file")
    if settings.loopback:
        return ()
    missing = [] if settings.tokens else ["tokens, so everybody who reaches it may use it and see its pictures"]
    if settings.certificate is None:
        missing.append("TLS, so everybody on the way can read and change what is sent")
    if missing and not settings.insecure:
        raise UsageError(
            f"host {settings.host} is open to others, without {' and without '.join(missing)}",
            hint="give --tokens FILE, --certificate FILE and --key FILE; or say --insecure on a network of your own",
        )
    return tuple(f"INSECURE: {settings.host} is served without {lack}" for lack in missing)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only. A name other than `localhost` may be anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
