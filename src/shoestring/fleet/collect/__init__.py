"""Take reports of devices by HTTP and MQTT, keep each once, and count what they say."""
