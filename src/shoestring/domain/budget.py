"""What the user can spend."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET


@dataclass(frozen=True)
class Budget:
    """Limits that a rung must keep; None leaves one open.

    Args:
        max_drop: largest allowed loss of accuracy (or of agreement), a fraction: 0.01 is one point.
        latency_ms: median for one example at `threads`.
        memory_bytes: peak resident memory of the process that runs it.
        size_bytes: of the stored model.
        threads: the thread count that latency is judged at; None means the better of one and all.
        confidence: of the certificate, in (0.5, 1).
        max_kl: of a model that writes text, largest mean KL to the original a token, nats.
        tokens_per_s: likewise, least tokens written a second.
    """

    max_drop: float | None = None
    latency_ms: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    threads: int | None = None
    confidence: float = 0.95
    max_kl: float | None = field(default=None, metadata=WHEN_SET)
    tokens_per_s: float | None = field(default=None, metadata=WHEN_SET)
