"""Flags that `run` and `serve` share: what the device reads, what it keeps to, what it leaves behind."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from shoestring.device.live.asked import Asked
    from shoestring.device.live.listeners import Listener
    from shoestring.device.pipelines.pipeline import Sparing
    from shoestring.domain.manifest import Manifest


def add_limits(parser: argparse.ArgumentParser) -> None:
    """What the governor keeps to."""
    group = parser.add_argument_group("limits that the governor keeps")
    group.add_argument(
        "--fps", type=float, metavar="N", help="examples a second that are wanted (default: the source's)"
    )
    group.add_argument("--deadline", metavar="50ms", help="from a frame's arrival to its answer")
    group.add_argument("--celsius", type=float, metavar="C", help="that the processor stays below")
    group.add_argument("--watts", type=float, metavar="W", help="of the whole board, mean over a minute")
    group.add_argument("--memory", metavar="300MB", help="for the engine")
    group.add_argument("--battery-wh", type=float, metavar="WH", help="energy that may be spent")
    group.add_argument("--hours", type=float, metavar="H", help="that the battery must last")
    group.add_argument(
        "--allow-degraded", action="store_true", help="below the proven floor too, when nothing else keeps the limits"
    )
    group.add_argument("--chip", metavar="NAME", help="that this is (default: the one the bundle was made for)")
    group.add_argument("--chip-file", type=Path, metavar="FILE", help="a chip of your own")
    group.add_argument("--cooling", choices=("bare", "heatsink", "fan"), help="default: the best the chip file knows")
    group.add_argument("--decisions", type=Path, metavar="FILE", help="every move as a line, for `shoestring explain`")


def add_sparing(parser: argparse.ArgumentParser) -> None:
    """What spares the model work."""
    group = parser.add_argument_group("video and cameras")
    group.add_argument(
        "--every", type=int, default=1, metavar="N", help="a detector sees every Nth frame, a tracker those between"
    )
    group.add_argument("--gate", action="store_true", help="hold the answer while nothing moves")
    group.add_argument("--realtime", action="store_true", help="play a video file as a camera would show it")


def add_mqtt(parser: argparse.ArgumentParser) -> None:
    """Who else is told. Nobody is unless a broker is named."""
    group = parser.add_argument_group("MQTT and Home Assistant (nothing is sent unless --mqtt names a broker)")
    group.add_argument("--mqtt", metavar="URL", help="mqtt://[user@]host[:port], or mqtts:// for TLS")
    group.add_argument("--mqtt-name", metavar="NAME", help="of this device in topics (default: the machine's)")
    group.add_argument(
        "--mqtt-password", type=Path, metavar="FILE", help="its first line (default: $SHOESTRING_MQTT_PASSWORD)"
    )
    group.add_argument("--mqtt-ca", type=Path, metavar="PEM", help="certificates to trust (default: the system's)")
    group.add_argument(
        "--watch", action="append", metavar="CLASS", help="class with an occupancy sensor of its own; repeatable"
    )


def mqtt_of(
    arguments: argparse.Namespace, manifest: Manifest, say: Callable[[str, str | None], None], stack: ExitStack
) -> list[Listener]:
    """Who publishes; nobody unless a broker is named. Raises UsageError, StorageError, MissingExtraError.

    Args:
        arguments: as filled by `add_mqtt`.
        manifest: of the bundle.
        say: told `mqtt` and what is wrong with it, or None when it is well again.
        stack: that ends the connection, whatever happens.
    """
    from shoestring.base.errors import UsageError

    if arguments.mqtt is None:
        for flag in ("mqtt_name", "mqtt_password", "mqtt_ca", "watch"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag.replace('_', '-')} needs --mqtt", hint="--mqtt mqtt://host")
        return []
    from shoestring.device.publish import MqttListener, MqttPublisher, parse_broker
    from shoestring.device.publish.broker import device_name
    from shoestring.device.publish.discovery import Device
    from shoestring.device.publish.listener import watched_of

    files = {"password_file": arguments.mqtt_password, "authority": arguments.mqtt_ca}
    broker = parse_broker(arguments.mqtt, os.environ, **files)
    detects = manifest.head is not None
    watched = watched_of(manifest.labels, arguments.watch, detects=detects)
    device = Device(device_name(arguments.mqtt_name), manifest.name, watched, detects)
    if broker.in_the_clear:
        say("mqtt", f"the password goes to {broker.address} unencrypted; mqtts:// hides it")
    publisher = MqttPublisher(broker, device.name)
    stack.callback(publisher.close)
    return [MqttListener(publisher, device, say=say)]


def asked_of(arguments: argparse.Namespace) -> Asked:
    """The wishes in the flags. Raises UsageError."""
    from shoestring.base.errors import UsageError
    from shoestring.base.units import parse_bytes, parse_ms
    from shoestring.device.live.asked import Asked

    if arguments.fps is not None and not 0 < arguments.fps <= 1e6:
        raise UsageError(f"--fps {arguments.fps:g} is outside (0, 1000000]", hint="a camera gives 5 to 60")
    return Asked(
        rate=arguments.fps,
        celsius=arguments.celsius,
        watts=arguments.watts,
        deadline_s=None if arguments.deadline is None else parse_ms(arguments.deadline) / 1000,
        memory_bytes=None if arguments.memory is None else parse_bytes(arguments.memory),
        battery_wh=arguments.battery_wh,
        hours=arguments.hours,
        rung=arguments.rung,
        allow_degraded=arguments.allow_degraded,
        cooling=arguments.cooling,
    )


def sparing_of(arguments: argparse.Namespace) -> Sparing:
    """What spares the model work."""
    from shoestring.device.pipelines.motion import Gating
    from shoestring.device.pipelines.pipeline import Sparing

    return Sparing(every=arguments.every, gate=Gating() if arguments.gate else None)
