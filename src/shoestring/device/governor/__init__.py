"""The pure policy that picks the rung from heat, power, load and deadlines."""

from shoestring.device.governor.explain import Explained, explain
from shoestring.device.governor.journal import Journal, Journalled
from shoestring.device.governor.model import BoardModel, board_model
from shoestring.device.governor.nouns import Decision, Limits, RungPlan, Work
from shoestring.device.governor.policy import REASONS, Policy
from shoestring.device.governor.state import State

__all__ = [
    "REASONS",
    "BoardModel",
    "Decision",
    "Explained",
    "Journal",
    "Journalled",
    "Limits",
    "Policy",
    "RungPlan",
    "State",
    "Work",
    "board_model",
    "explain",
]
