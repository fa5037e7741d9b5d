"""One engine for several threads: the server's and that of a live loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.device.serve.nouns import Bytes, Engine, Reply


class Shared:
    """An engine that several threads may ask; it is lent for one example at a time.

    Args:
        engine: for one thread at a time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()

    def infer(self, pixels: Bytes) -> Reply:
        """As `Engine.infer`; waits while another thread has the engine."""
        with self._lock:
            return self._engine.infer(pixels)
