"""What Home Assistant is told of the device, so that its entities appear by themselves.

Topics and keys are those of its MQTT discovery (home-assistant.io/integrations/mqtt, section "MQTT discovery", and the
pages `sensor.mqtt` and `binary_sensor.mqtt`): `homeassistant/COMPONENT/NODE/OBJECT/config`, retained.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring._version import __version__
from shoestring.device.publish.broker import slug

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREFIX = "homeassistant"
"""Of the topics that Home Assistant listens to, unless it was set up otherwise."""
MEASURED = {"state_class": "measurement"}
DIAGNOSTIC = {"entity_category": "diagnostic"}


@dataclass(frozen=True)
class Device:
    """As others see it.

    Args:
        name: in topics.
        model: of the bundle, for people.
        watched: classes with entities of their own.
        detects: whether the model finds boxes; else it classifies.
    """

    name: str
    model: str
    watched: tuple[str, ...] = ()
    detects: bool = True

    def topic(self, *parts: str) -> str:
        """One of its topics."""
        return "/".join(("shoestring", self.name, *parts))

    @property
    def slugs(self) -> dict[str, str]:
        """The part of a topic that stands for each watched class, no two alike."""
        often = Counter(map(slug, self.watched))
        return {
            label: slug(label) if often[slug(label)] == 1 else f"{slug(label)}_{place}"
            for place, label in enumerate(self.watched)
        }


def messages(device: Device, prefix: str = PREFIX) -> dict[str, str]:
    """Discovery messages by topic.

    Args:
        device: to be found.
        prefix: of the topics.
    """
    node = f"shoestring_{device.name}"
    common = {
        "availability_topic": device.topic("status"),
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {
            "identifiers": [node],
            "name": f"Shoestring {device.name}",
            "manufacturer": "Shoestring",
            "model": device.model,
            "sw_version": __version__,
        },
        "origin": {"name": "Shoestring", "sw_version": __version__},
    }
    found = {}
    for component, identity, keys in _entities(device):
        whole = {**keys, "unique_id": f"{node}_{identity}", **common}
        found[f"{prefix}/{component}/{node}/{identity}/config"] = json.dumps(whole, ensure_ascii=False)
    return found


Entity = tuple[str, str, dict[str, Any]]
"""(component, id, keys of its own)."""


def _entities(device: Device) -> Iterator[Entity]:
    """Every entity of the device."""
    if device.detects:
        yield _sensor(device, "objects", "objects", "Objects", ("total",), MEASURED)
        for label, part in device.slugs.items():
            yield _sensor(device, f"count_{part}", "objects", f"{label} count", ("classes", label), MEASURED)
    else:
        yield _sensor(device, "label", "answer", "Seen", ("label",), {})
        yield _sensor(device, "score", "answer", "Sureness", ("score",), MEASURED)
    for label, part in device.slugs.items():
        keys = {
            "name": f"{label} seen",
            "state_topic": device.topic("occupancy", part),
            "payload_on": "ON",
            "payload_off": "OFF",
            "device_class": "occupancy",
        }
        yield "binary_sensor", f"occupancy_{part}", keys
    yield from _health(device)


def _health(device: Device) -> Sequence[Entity]:
    heat = {"device_class": "temperature", "unit_of_measurement": "°C", **MEASURED, **DIAGNOSTIC}
    power = {"device_class": "power", "unit_of_measurement": "W", **MEASURED, **DIAGNOSTIC}
    rate = {"unit_of_measurement": "1/s", **MEASURED, **DIAGNOSTIC}
    return (
        _sensor(device, "rung", "device", "Rung", ("rung",), DIAGNOSTIC),
        _sensor(device, "rate", "device", "Rate", ("rate",), rate),
        _sensor(device, "celsius", "device", "Temperature", ("celsius",), heat),
        _sensor(device, "watts", "device", "Power", ("watts",), power),
    )


def _sensor(device: Device, identity: str, topic: str, name: str, keys: Sequence[str], more: dict[str, str]) -> Entity:
    # A string of JSON is one of Jinja, the language of templates, too: both take the same escapes.
    path = "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)
    template = f"{{{{ value_json{path} }}}}"
    return "sensor", identity, {"name": name, "state_topic": device.topic(topic), "value_template": template, **more}


__all__ = ["PREFIX", "Device", "messages"]
