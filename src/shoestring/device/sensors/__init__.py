"""What a board says of its heat, power, clock and memory. A sensor that is not there is None, never a number."""

from shoestring.device.sensors.readings import Fault, Readings, Sensors
from shoestring.device.sensors.real import RealSensors
from shoestring.device.sensors.rise import Silicon, silicon_of
from shoestring.device.sensors.sysfs import Reading, board_watts, highest_ghz, package_energy, package_watts, read

__all__ = [
    "Fault",
    "Reading",
    "Readings",
    "RealSensors",
    "Sensors",
    "Silicon",
    "board_watts",
    "highest_ghz",
    "package_energy",
    "package_watts",
    "read",
    "silicon_of",
]
