"""Two bundles on a device: one is started, one is gone back to; a new one takes its place in one step, on trial."""

from shoestring.device.slots.activation import Device, activate_bundle
from shoestring.device.slots.nouns import EMPTY, GOOD, MAX_STARTS, STATES, TRIAL, Held, Kept, Record, Refusal
from shoestring.device.slots.replaying import ReplayLimits
from shoestring.device.slots.slots import Slots

__all__ = [
    "EMPTY",
    "GOOD",
    "MAX_STARTS",
    "STATES",
    "TRIAL",
    "Device",
    "Held",
    "Kept",
    "Record",
    "Refusal",
    "ReplayLimits",
    "Slots",
    "activate_bundle",
]
