"""A connection to a broker that comes back by itself, and never holds up whoever has something to say."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import MissingExtraError, UsageError
from shoestring.device.publish.outbox import Message, Outbox

if TYPE_CHECKING:
    from shoestring.device.publish.broker import Broker

WAITING = 1000
"""Events that wait while the broker is away; at one a second a quarter of an hour."""
RATE = 50.0
"""Messages a second at most."""
IN_FLIGHT = 20
"""Messages handed over that the broker has not confirmed."""
BACK_OFF_S = (1, 60)
"""Before the first and before every later try to come back; doubled each time."""
KEEP_ALIVE_S = 30
"""A silent broker is taken for lost after one and a half times this (MQTT 3.1.1, section 3.1.2.10)."""
CONNECT_S = 5.0
LOOK_S = 0.05
"""Between two looks of the sender where nothing wakes it."""


class MqttPublisher:
    """Sends states and events. It returns at once: everything else happens in threads of its own.

    Args:
        broker: to send to.
        name: of the device; every topic is `shoestring/NAME/...`.
        qos: 0 or 1: whether the broker confirms each message.
        waiting: see WAITING.
        rate: see RATE.
        back_off_s: see BACK_OFF_S.

    Raises:
        MissingExtraError: paho-mqtt is not installed.
        UsageError: `qos` or `rate` is none; the certificates cannot be used.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        *,
        qos: int = 1,
        waiting: int = WAITING,
        rate: float = RATE,
        back_off_s: tuple[int, int] = BACK_OFF_S,
    ) -> None:
        if qos not in (0, 1) or not 0 < rate <= 1000:
            raise UsageError(f"QoS {qos} is not 0 or 1, or {rate:g} messages a second are outside (0, 1000]")
        self._broker, self._qos, self._gap_s = broker, qos, 1 / rate
        self._status = f"shoestring/{name}/status"
        self._outbox = Outbox(waiting)
        self._outbox.state(self._status, "online")
        self._connected = threading.Event()
        self._stale = True  # the broker may not know our states
        self._trouble: str | None = f"not connected to {broker.address} yet"
        self._sent: set[int] = set()
        self._confirmed: deque[int] = deque()
        self._stop = threading.Event()
        self._client = self._make(back_off_s)
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="mqtt")
        self._client.connect_async(broker.host, broker.port, KEEP_ALIVE_S)
        self._client.loop_start()
        self._sending = self._sender.submit(self._send)

    @property
    def lost(self) -> int:
        """Events that went unsent since the broker was away."""
        return self._outbox.lost

    @property
    def trouble(self) -> str | None:
        """What is wrong with the connection, for people; None when all is well."""
        return self._trouble

    def state(self, topic: str, payload: str) -> None:
        """What holds from now on: the broker keeps it for those who come later."""
        self._check()
        self._outbox.state(topic, payload)

    def event(self, topic: str, payload: str) -> None:
        """What happened: sent once, to those who listen now."""
        self._check()
        self._outbox.event(topic, payload)

    def close(self, wait_s: float = 2.0) -> None:
        """Send what waits, say goodbye and end; a second call does nothing.

        Args:
            wait_s: for a broker that does not answer.
        """
        if self._stop.is_set():
            return
        self._outbox.state(self._status, "offline")
        by_s = time.monotonic() + wait_s
        while self._connected.is_set() and not self._done() and time.monotonic() < by_s:
            time.sleep(LOOK_S)
        self._stop.set()
        self._sender.shutdown()
        self._client.disconnect()
        # loop_stop() waits for ever where the network swallows everything; its thread ends with the program then.
        ending = threading.Thread(target=self._client.loop_stop, daemon=True)
        ending.start()
        ending.join(CONNECT_S + wait_s)

    def _done(self) -> bool:
        return not self._stale and self._outbox.empty and not self._sent

    def _check(self) -> None:
        if self._sending.done():
            self._sending.result()

    def _make(self, back_off_s: tuple[int, int]) -> Any:
        try:
            from paho.mqtt import client as mqtt
        except ImportError:
            raise MissingExtraError("paho-mqtt", "mqtt") from None
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect_timeout = CONNECT_S
        client.reconnect_delay_set(*back_off_s)
        client.max_inflight_messages_set(IN_FLIGHT)
        client.will_set(self._status, "offline", qos=1, retain=True)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            authority = self._broker.authority
            try:
                client.tls_set(ca_certs=None if authority is None else str(authority))
            except (OSError, ValueError) as error:
                raise UsageError(f"{authority} holds no certificates: {error}", hint="give a PEM file") from None
        client.on_connect = self._came
        client.on_connect_fail = self._failed
        client.on_disconnect = self._went
        client.on_publish = self._was_confirmed
        return client

    def _came(self, client: object, data: object, flags: object, reason: Any, properties: object) -> None:
        if reason.is_failure:
            self._trouble = f"{self._broker.address} refuses: {reason}"
            return
        self._trouble = None
        self._connected.set()

    def _failed(self, client: object, data: object) -> None:
        self._trouble = f"{self._broker.address} cannot be reached"

    def _went(self, client: object, data: object, flags: object, reason: Any, properties: object) -> None:
        was = self._connected.is_set()
        self._stale = True
        self._connected.clear()
        if was and not self._stop.is_set():
            self._trouble = f"the connection to {self._broker.address} broke"

    def _was_confirmed(self, client: object, data: object, number: int, reason: object, properties: object) -> None:
        # No lock: paho holds one of its own here that publish() takes too.
        self._confirmed.append(number)

    def _send(self) -> None:
        """The sender's thread."""
        while not self._stop.is_set():
            while self._confirmed:
                self._sent.discard(self._confirmed.popleft())
            if not self._connected.is_set() or len(self._sent) >= IN_FLIGHT:
                self._stop.wait(LOOK_S)
                continue
            if self._stale:
                # paho first repeats what was not confirmed: were ours sent in between, an older state could end on top.
                if self._sent:
                    self._stop.wait(LOOK_S)
                    continue
                self._stale = False
                self._outbox.renew()
            message = self._outbox.take(LOOK_S)
            if message is not None:
                self._hand_over(message)
                self._stop.wait(self._gap_s)

    def _hand_over(self, message: Message) -> None:
        info = self._client.publish(message.topic, message.payload.encode(), self._qos, message.retain)
        if self._qos:
            self._sent.add(info.mid)  # paho repeats it until it is confirmed, whatever becomes of the connection
        elif info.rc:
            self._outbox.back(message)


__all__ = ["MqttPublisher"]
