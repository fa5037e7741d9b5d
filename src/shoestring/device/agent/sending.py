"""Reports on their way: HTTPS POST or MQTT. Nothing is sent unless the owner named where to.

A report counts as taken when the collector answered 200 to 204, which it does once it is on its disk, or when the
broker confirmed it (QoS 1). Whatever else happens it stays in the queue, unless it is refused for what it is.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from shoestring.base.addresses import without_password
from shoestring.base.errors import DataError, MissingExtraError, UsageError
from shoestring.base.limits import CONNECT_SECONDS, METADATA_SECONDS
from shoestring.trust.repository.paced import PacedSocket
from shoestring.trust.repository.patience import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TAKEN, LATER, NEVER = "taken", "later", "never"
TAKEN_STATUS = (200, 201, 202, 204)
NEVER_STATUS = (400, 413, 415, 422)
"""Of what the report is: the same bytes would be refused for ever. All other answers may change."""
MAX_ANSWER_BYTES = 4096
PUBLISH_S = 20.0
"""For a broker to confirm: a satellite link takes two for the round trip, a busy broker some more."""
LOOK_S = 0.5


@dataclass(frozen=True)
class Answer:
    """What came of sending.

    Args:
        outcome: TAKEN, LATER or NEVER.
        why: for people, where it was not taken.
        retry_after_s: that the other side asked for; None: it did not.
    """

    outcome: str
    why: str = ""
    retry_after_s: float | None = None


class Sender(Protocol):
    """Something that brings one report to whoever collects."""

    def send(self, data: bytes) -> Answer: ...

    def close(self) -> None: ...


class HttpSender:
    """POST to a collector. No proxy of the environment, no redirect, TLS verified.

    Args:
        address: `https://host[:port]/path`, or http.
        ca: certificates to trust in place of the system's, as PEM.
        token: that the collector wants to see; it goes over TLS or to this machine alone.

    Raises:
        UsageError: the address names no host, or holds a password; or the token would go in the clear.
        DataError: the certificates cannot be read.
    """

    def __init__(self, address: str, ca: Path | None = None, token: str | None = None) -> None:
        try:
            parts = urlsplit(address)
            self._port = parts.port
        except ValueError:  # its words quote what it could not read, which may be a password
            raise UsageError(f"{without_password(address)!r} is not an address") from None
        if not parts.hostname or parts.username is not None or parts.fragment:
            raise UsageError(
                f"{without_password(address)!r} is not a plain address", hint="https://host[:port]/path, nothing else"
            )
        self._host, self._path = parts.hostname, parts.path or "/"
        if parts.query:
            self._path += f"?{parts.query}"
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=None if ca is None else str(ca))
            except (OSError, ssl.SSLError) as error:
                raise DataError(f"cannot read the certificates {ca}: {error}") from error
        elif token is not None and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise UsageError("the token would go over the network in the clear", hint="write https://")
        self._head = {"Content-Type": "application/json", "Connection": "close", "User-Agent": "shoestring"}
        if token is not None:
            self._head["Authorization"] = f"Bearer {token}"

    def send(self, data: bytes) -> Answer:
        """One request, of at most METADATA_SECONDS."""
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls)
        with contextlib.closing(connection):
            try:
                connection.connect()
                connection.sock = PacedSocket(connection.sock, METADATA_SECONDS)
                connection.request("POST", self._path, body=data, headers=self._head)
                answer = connection.getresponse()
                answer.read(MAX_ANSWER_BYTES)
            except (OSError, http.client.HTTPException) as error:
                return Answer(LATER, f"{self._host}: {getattr(error, 'strerror', None) or error!r}"[:200])
            wait_s = retry_after_s(answer.headers.get("Retry-After"), time.time())
        if answer.status in TAKEN_STATUS:
            return Answer(TAKEN, "", wait_s)
        why = f"{self._host} answered {answer.status}"
        return Answer(NEVER if answer.status in NEVER_STATUS else LATER, why, wait_s)

    def close(self) -> None:
        """Nothing is kept open."""


class MqttSender:
    """Publishes with QoS 1, and waits for the broker's word.

    Args:
        url, environment, ca: as of `device.publish.broker.parse_broker`.
        topic: of the reports.
        client: id of the connection, the same each time.

    Raises:
        UsageError: the address is none.
        MissingExtraError: paho-mqtt is not installed.
    """

    def __init__(
        self, url: str, topic: str, client: str, environment: Mapping[str, str], ca: Path | None = None
    ) -> None:
        from shoestring.device.publish.broker import parse_broker

        broker = parse_broker(url, environment, authority=ca)
        if broker.in_the_clear:
            raise UsageError("the password would go over the network in the clear", hint="write mqtts://")
        self._broker, self._topic, self._name, self._ca = broker, topic, client, ca
        self._client()

    def send(self, data: bytes) -> Answer:
        """Connect, publish, wait, go: reports are rare, and a connection that is kept costs the broker one a device."""
        client = self._client()
        confirmed: list[int] = []
        refused: list[str] = []
        client.on_publish = lambda _client, _data, number, *_: confirmed.append(number)
        client.on_connect = lambda _client, _data, _flags, reason, *_: refused.extend([str(reason)] * reason.is_failure)
        until_s = time.monotonic() + PUBLISH_S
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=30)
            number = client.publish(self._topic, data, qos=1).mid
            while number not in confirmed and not refused and time.monotonic() < until_s:
                if client.loop(timeout=LOOK_S) != 0:
                    break
            client.disconnect()
        except OSError as error:
            return Answer(LATER, f"{self._broker.address}: {error.strerror or error}")
        if number in confirmed:
            return Answer(TAKEN)
        return Answer(LATER, f"{self._broker.address}: {refused[0] if refused else 'it did not confirm'}")

    def close(self) -> None:
        """Nothing is kept open."""

    def _client(self) -> Any:
        try:
            from paho.mqtt import client as mqtt
        except ImportError:
            raise MissingExtraError("paho-mqtt", "mqtt") from None
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self._name)
        client.connect_timeout = CONNECT_SECONDS
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            try:
                client.tls_set(ca_certs=None if self._ca is None else str(self._ca))
            except (OSError, ValueError) as error:
                raise UsageError(f"{self._ca} holds no certificates: {error}", hint="give a PEM file") from None
        return client


__all__ = ["LATER", "NEVER", "TAKEN", "Answer", "HttpSender", "MqttSender", "Sender"]
