"""A camera at home: who is there goes to Home Assistant by MQTT, and to this screen.

    python examples/device/home.py people.shoe film.avi mqtt://127.0.0.1 --watch person --realtime

Starts `shoestring run` on the camera, or with --realtime on a film as if it were one, and listens to the broker as a
house would. The password comes from $SHOESTRING_MQTT_PASSWORD. Ends with the film, or at Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt

from shoestring.device.publish import Broker, parse_broker

NAME = "home-example"
TOPICS = f"shoestring/{NAME}"


def listen(broker: Broker) -> mqtt.Client:
    """Print every change of what the camera tells of people and of itself."""
    known: dict[str, str] = {}
    ready = threading.Event()

    def heard(client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        topic, payload = message.topic.removeprefix(f"{TOPICS}/"), message.payload.decode()
        if topic != "result" and known.get(topic) != payload:
            known[topic] = payload
            print(f"{topic}: {payload}", flush=True)

    def came(client: mqtt.Client, *rest: Any) -> None:
        client.subscribe(f"{TOPICS}/#")

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_connect, client.on_message = came, heard
    client.on_subscribe = lambda *rest: ready.set()
    client.username_pw_set(broker.user, broker.password)
    if broker.tls:
        client.tls_set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    if not ready.wait(10.0):
        raise SystemExit(f"{broker.address} lets nobody listen")
    return client


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("source", help="camera, address or film")
    parser.add_argument("broker", help="mqtt://[user@]host")
    parser.add_argument("--watch", action="append", default=[], metavar="CLASS")
    asked, more = parser.parse_known_args()
    client = listen(parse_broker(asked.broker, os.environ))
    watched = [word for name in asked.watch for word in ("--watch", name)]
    words = [asked.bundle, asked.source, "--mqtt", asked.broker, "--mqtt-name", NAME, *watched, *more]
    command = [sys.executable, "-m", "shoestring.cli.main", "run", *map(str, words)]
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    client.disconnect()
    client.loop_stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
