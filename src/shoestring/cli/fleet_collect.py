"""Run the collector until it is told to end."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.cli import console
from shoestring.device.serve.run import run_server
from shoestring.device.serve.settings import Settings, check_settings
from shoestring.device.serve.tokens import read_tokens
from shoestring.fleet.collect.app import REPORTS, CollectApp
from shoestring.fleet.collect.devices import read_devices
from shoestring.fleet.collect.reception import Keeping, Reception
from shoestring.fleet.collect.store import open_store
from shoestring.trust.sealed_report import MAX_SEALED_BYTES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

CLIENT_RATE, WHOLE_RATE = 100.0, 1_000.0
"""Reports a second; of one address, since a whole site may stand behind one."""
CONNECTIONS, CLIENT_CONNECTIONS = 1_024, 256


def collect(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Take reports by HTTP, and by MQTT where a broker is named."""
    if arguments.keep_days < 1:
        raise UsageError(f"--keep-days {arguments.keep_days} is below one")
    settings = _settings(arguments, environment)
    devices = None if arguments.devices is None else read_devices(arguments.devices)
    if devices is None:
        console.say("every device may report, and so may whoever makes up devices: name yours with --devices")
    with contextlib.ExitStack() as stack:
        store = open_store(arguments.db, writing=True)
        reception = Reception(store, Keeping(arguments.keep_days), devices)
        stack.callback(reception.close)
        if arguments.mqtt is not None:
            from shoestring.device.publish import parse_broker
            from shoestring.fleet.collect.mqtt import MqttReports

            broker = parse_broker(
                arguments.mqtt, environment, password_file=arguments.mqtt_password, authority=arguments.mqtt_ca
            )
            listening = MqttReports(broker, reception)
            stack.callback(listening.close)
            console.say(f"listening for reports at {broker.address}")
        run_server(
            CollectApp(reception, settings),
            settings,
            say=console.say,
            started=lambda port: _started(arguments, settings, port),
        )
        console.say(f"{reception.taken} reports were kept")
    return 0


def _started(arguments: argparse.Namespace, settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{settings.scheme}://{host}:{port}{REPORTS}"
    if arguments.json:
        console.show_json({"address": address, "port": port})
        sys.stdout.flush()  # a pipe would keep it until the end
    console.say(f"reports go to {address} and are kept {arguments.keep_days} days in {arguments.db}")


def _settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    settings = Settings(
        host=arguments.host,
        port=arguments.port,
        names=tuple(arguments.name),
        tokens=read_tokens(arguments.tokens, environment),
        certificate=arguments.certificate,
        key=arguments.key,
        insecure=arguments.insecure,
        body_bytes=MAX_SEALED_BYTES,
        client_rate=CLIENT_RATE,
        whole_rate=WHOLE_RATE,
        connections=CONNECTIONS,
        client_connections=CLIENT_CONNECTIONS,
    )
    check_settings(settings)
    return settings
