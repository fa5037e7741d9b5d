"""Who may come in: known names, no foreign pages, tokens, rates. Every request passes here first."""

from __future__ import annotations

import ipaddress
import math
import socket
from typing import TYPE_CHECKING

from shoestring.device.serve.http import CLOSE, Refusal
from shoestring.device.serve.rates import Rates
from shoestring.device.serve.tokens import who

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.serve.http import Request
    from shoestring.device.serve.settings import Settings


class Guard:
    """Checks requests by the settings.

    Args:
        settings: checked.
        clock: monotonic, s.

    Attributes:
        refused: counts by the reason: `rate`, `name`, `origin`, `token`.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._tokens = settings.tokens
        self._rates = Rates(settings.client_rate, settings.whole_rate, clock)
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", settings.host.lower(), *(n.lower() for n in settings.names)}
        self.refused = dict.fromkeys(("rate", "name", "origin", "token"), 0)

    def admit(self, request: Request, *, open_to_all: bool) -> None:
        """Let a request in.

        Args:
            request: with its head only.
            open_to_all: whether the route shows nothing that needs a token.

        Raises:
            Refusal: 400, 401, 403, 421 or 429.
        """
        wait = self._rates.take(request.address)
        if wait > 0:
            self.refused["rate"] += 1
            after = (b"retry-after", str(math.ceil(wait)).encode())
            raise Refusal(429, f"too many requests; ask again in {math.ceil(wait)} s", after, CLOSE)
        self._check_name(request)
        self._check_origin(request)
        if self._tokens and not open_to_all and who(self._tokens, request.headers.get(b"authorization")) is None:
            self.refused["token"] += 1
            challenge = (b"www-authenticate", b'Bearer realm="shoestring"')
            raise Refusal(401, "a bearer token is needed: send it as `Authorization: Bearer TOKEN`", challenge, CLOSE)

    def _check_name(self, request: Request) -> None:
        """A page of another site that has its own name point at this machine still says that name here."""
        hosts = [value for name, value in request.scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            self.refused["name"] += 1
            raise Refusal(400, f"the request has {len(hosts)} Host headers instead of one", CLOSE)
        name = _host_name(hosts[0].decode("latin-1"))
        if not self._known(name):
            self.refused["name"] += 1
            raise Refusal(421, f"this server is not called {name[:80]!r}; name it with --name to allow that", CLOSE)

    def _check_origin(self, request: Request) -> None:
        """A browser says from which site a request comes that could do something; only our own page may."""
        origin = request.headers.get(b"origin")
        if origin is None:
            return
        _, _, host = origin.decode("latin-1").partition("://")
        if host.lower() != request.headers[b"host"].decode("latin-1").lower():
            self.refused["origin"] += 1
            raise Refusal(403, "pages of other sites may not ask here", CLOSE)

    def _known(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _host_name(host: str) -> str:
    """Without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
