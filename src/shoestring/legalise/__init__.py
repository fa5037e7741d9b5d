"""Models made legal for a chip's accelerator: what it takes, what brings the rest over, where the graph is cut."""

from shoestring.legalise.apply import Done, Legal, legalise
from shoestring.legalise.place import Placed, Plan, plan
from shoestring.legalise.target import Target, asked_target, target_of

__all__ = ["Done", "Legal", "Placed", "Plan", "Target", "asked_target", "legalise", "plan", "target_of"]
