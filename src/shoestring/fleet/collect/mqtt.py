"""Reports by MQTT. The broker is told that a message arrived when it is on the disk, so it repeats the others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import MissingExtraError, UsageError
from shoestring.fleet.collect.reception import Unwelcome

if TYPE_CHECKING:
    from concurrent.futures import Future

    from shoestring.device.publish.broker import Broker
    from shoestring.fleet.collect.reception import Reception

TOPIC = "shoestring/+/report"
"""A device's id stands in the place of the `+`."""
CONNECT_S = 5.0
KEEP_ALIVE_S = 30
BACK_OFF_S = (1, 60)
QOS = 1
AGAIN_S = 5.0
"""Until a report that the disk refused is tried again. The broker sends only some (mosquitto: 20) beyond those that are
not confirmed, so no more than that wait here."""


class MqttReports:
    """Listens for reports until it is closed.

    Args:
        broker: to listen at.
        reception: where reports go.
        name: of the session; the broker keeps what comes while we are away under that name.

    Attributes:
        trouble: what is wrong with the connection, for people; None when all is well.
        subscribed: whether the broker keeps reports for us from now on.

    Raises:
        MissingExtraError: paho-mqtt is not installed.
        UsageError: the certificates cannot be used.
    """

    def __init__(self, broker: Broker, reception: Reception, name: str = "shoestring-collector") -> None:
        try:
            from paho.mqtt import client as mqtt
        except ImportError:
            raise MissingExtraError("paho-mqtt", "mqtt") from None
        self._broker, self._reception = broker, reception
        self.trouble: str | None = f"not connected to {broker.address} yet"
        self.subscribed = False
        self._ended = threading.Event()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, manual_ack=True)
        client.connect_timeout = CONNECT_S
        client.reconnect_delay_set(*BACK_OFF_S)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            try:
                client.tls_set(ca_certs=None if broker.authority is None else str(broker.authority))
            except (OSError, ValueError) as error:
                raise UsageError(f"{broker.authority} holds no certificates: {error}", hint="give a PEM file") from None
        client.on_connect, client.on_disconnect = self._came, self._went
        client.on_connect_fail = self._failed
        client.on_message, client.on_subscribe = self._hear, self._subscribed
        self._client = client
        client.connect_async(broker.host, broker.port, KEEP_ALIVE_S)
        client.loop_start()

    def close(self) -> None:
        """Stop listening; what was not confirmed the broker keeps. A second call does nothing."""
        if not self._ended.is_set():
            self._ended.set()
            self._client.disconnect()
            ending = threading.Thread(target=self._client.loop_stop, daemon=True)
            ending.start()  # loop_stop() waits for ever where the network swallows everything
            ending.join(CONNECT_S)

    def _came(self, client: Any, data: object, flags: object, reason: Any, properties: object) -> None:
        if reason.is_failure:
            self.trouble = f"{self._broker.address} refuses: {reason}"
            return
        self.trouble = None
        client.subscribe(TOPIC, qos=QOS)

    def _subscribed(self, client: object, data: object, number: int, reasons: Any, properties: object) -> None:
        if any(reason.is_failure for reason in reasons):
            self.trouble = f"{self._broker.address} does not let us listen to {TOPIC}"
        else:
            self.subscribed = True

    def _failed(self, client: object, data: object) -> None:
        self.trouble = f"{self._broker.address} cannot be reached"

    def _went(self, client: object, data: object, flags: object, reason: Any, properties: object) -> None:
        if not self._ended.is_set():
            self.trouble = f"the connection to {self._broker.address} broke"

    def _hear(self, client: Any, data: object, message: Any) -> None:
        if self._ended.is_set():
            return
        try:
            future = self._reception.take(message.payload)
        except Unwelcome as unwelcome:
            self._settle(client, message, unwelcome)
            return
        future.add_done_callback(lambda done: self._settle(client, message, _why_not(done)))

    def _settle(self, client: Any, message: Any, unwelcome: Unwelcome | None) -> None:
        """Confirm what is kept, and what will not be: whoever sent it has gone. The rest is tried again."""
        if unwelcome is None or unwelcome.kind not in ("busy", "disk"):
            client.ack(message.mid, message.qos)
        elif not self._ended.is_set():
            again = threading.Timer(AGAIN_S, self._hear, (client, None, message))
            again.daemon = True
            again.start()


def _why_not(done: Future[str]) -> Unwelcome | None:
    error = done.exception()
    return error if isinstance(error, Unwelcome) else None
