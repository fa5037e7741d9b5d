"""The engine as the device sees it: it may do anything in its process, and the device goes on."""

from shoestring.device.supervise.direct import DirectEngine
from shoestring.device.supervise.failures import Policy
from shoestring.device.supervise.nouns import Care, Engine, Reply, RungState
from shoestring.device.supervise.supervised import SupervisedEngine

__all__ = ["Care", "DirectEngine", "Engine", "Policy", "Reply", "RungState", "SupervisedEngine"]
