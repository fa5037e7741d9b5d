"""Signs of life while one long step is under way: a download or a replay of golden sets says nothing for minutes."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoestring.device.service.notify import Heart

PART = "agent"
STEP_S = 6 * 3600.0
"""After so long a step is taken to hang and the service manager starts us again: what has come of a download is kept,
so even a link of 50 kB a second, which needs a day for the largest bundle, only begins a new process four times."""
BEAT_S = 1.0


@contextlib.contextmanager
def step(
    heart: Heart | None, *, limit_s: float = STEP_S, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Beat while the block runs, for `limit_s` at most.

    Args:
        heart: with the part PART; None: nobody listens.
        limit_s: from now on.
        clock: monotonic, s. Steps of the wall clock mean nothing here.
    """
    if heart is None:
        yield
        return
    over = threading.Event()
    until_s = clock() + limit_s

    def beat() -> None:
        while clock() < until_s:
            heart.beat(PART)
            if over.wait(BEAT_S):
                return

    thread = threading.Thread(target=beat, name="agent-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


__all__ = ["PART", "STEP_S", "step"]
