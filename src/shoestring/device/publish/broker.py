"""Where to publish. Passwords come from the environment or a file: command lines are there for every user to see."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from shoestring.base.addresses import without_password
from shoestring.base.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "SHOESTRING_MQTT_PASSWORD"
PORTS = {"mqtt": 1883, "mqtts": 8883}
"""As registered with IANA."""
MAX_PASSWORD_BYTES = 64 * 1024 - 1
"""What the two length bytes of the protocol can say (MQTT 3.1.1, section 1.5.3)."""
_HOST = re.compile(
    r"^(?=.{1,253}$)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_-]{1,63})*$|^[0-9A-Fa-f]*:[0-9A-Fa-f:.]{1,44}(%[A-Za-z0-9]+)?$"
)
_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_EXAMPLE = "write mqtt://host, mqtt://user@host:1883 or mqtts://host"


@dataclass(frozen=True)
class Broker:
    """A broker and how to come in.

    Args:
        host: name or address.
        port: 1 to 65535.
        tls: whether the connection is encrypted and the broker's certificate checked.
        user: or None.
        password: or None; it is never shown.
        authority: file of the certificates to trust (PEM); None takes the system's.
    """

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    authority: Path | None = None

    @property
    def address(self) -> str:
        """Where it is, for people; without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    @property
    def in_the_clear(self) -> bool:
        """Whether a password would go over a network unencrypted."""
        return self.password is not None and not self.tls and not _is_local(self.host)


def parse_broker(
    url: str, environment: Mapping[str, str], *, password_file: Path | None = None, authority: Path | None = None
) -> Broker:
    """A broker of `mqtt://[user@]host[:port]` or `mqtts://...`.

    Args:
        url: its address.
        environment: may hold the password.
        password_file: its first line is the password, instead.
        authority: see `Broker`.

    Raises:
        UsageError: the address is none, or holds a password; or a password comes without a user.
        StorageError: a file cannot be read.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the address of the broker is none", hint=_EXAMPLE) from None
    if parts.password is not None:
        raise UsageError(
            "the address of the broker holds a password, which every user of this machine could see",
            hint=f"put it into ${VARIABLE} or a file",
        )
    if parts.scheme not in PORTS or not parts.hostname or _HOST.match(parts.hostname) is None or port == 0:
        raise UsageError(f"{without_password(url)!r} is not the address of a broker", hint=_EXAMPLE)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"{without_password(url)!r} has more than a host and a port", hint=_EXAMPLE)
    tls = parts.scheme == "mqtts"
    if authority is not None and not tls:
        raise UsageError("certificates need TLS, and mqtt:// has none", hint="write mqtts://")
    password = environment.get(VARIABLE) if password_file is None else _first_line(password_file)
    if password and parts.username is None:
        raise UsageError("there is a password but no user", hint="write mqtt://user@host")
    user = None if parts.username is None else unquote(parts.username)
    return Broker(parts.hostname, port or PORTS[parts.scheme], tls, user, password or None, authority)


def device_name(name: str | None) -> str:
    """The device's name in topics: as asked, or that of this machine.

    Raises:
        UsageError: it has other characters than letters, digits, `_` and `-`, or more than 64.
    """
    if name is None:
        return slug(socket.gethostname().partition(".")[0])[:64]
    if _NAME.match(name) is None:
        raise UsageError(f"{name!r} cannot name a device in MQTT topics", hint="at most 64 of letters, digits, _ and -")
    return name


def slug(words: str) -> str:
    """Words as a part of a topic or of an entity's id: lower case letters, digits and `_`."""
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "unnamed"


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_PASSWORD_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error
    line = data.partition(b"\n")[0].rstrip(b"\r")
    if not line or len(line) > MAX_PASSWORD_BYTES:
        raise UsageError(f"the first line of {path} is no password", hint=f"1 to {MAX_PASSWORD_BYTES} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise UsageError(f"the first line of {path} is not UTF-8", hint="write the password as text") from None


__all__ = ["VARIABLE", "Broker", "device_name", "parse_broker", "slug"]
