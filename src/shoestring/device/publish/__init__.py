"""Results and health for others on the network, by MQTT. Nothing is sent unless a broker is named."""

from shoestring.device.publish.broker import Broker, parse_broker
from shoestring.device.publish.listener import MqttListener
from shoestring.device.publish.publisher import MqttPublisher

__all__ = ["Broker", "MqttListener", "MqttPublisher", "parse_broker"]
