"""Where work runs: in worker processes of this machine, or on a Ray cluster. Measuring never goes through here."""

from shoestring.engines.protocol import Engine, Task
from shoestring.engines.registry import ENGINES, open_engine

__all__ = ["ENGINES", "Engine", "Task", "open_engine"]
