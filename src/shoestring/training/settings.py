"""How a student is trained."""

from __future__ import annotations

from dataclasses import dataclass

DEVICES = ("cpu", "cuda")
MAX_EPOCHS = 100_000


@dataclass(frozen=True)
class Settings:
    """What the user may set.

    Args:
        epochs: rounds over the images, at least 1; the last fifth of them rounds to 8 bits where there are 2 or more.
        batch: images a step, at least 2.
        rate: highest learning rate, above zero.
        seed: of splits, order and views.
        device: `cpu` or `cuda`.
        threads: of training; latency is always measured at one thread.
        int8_epochs: False leaves the rounding of the last epochs out.
    """

    epochs: int = 20
    batch: int = 64
    rate: float = 2e-3
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    int8_epochs: bool = True

    @property
    def rounding_epochs(self) -> int:
        """Epochs with rounding at the end."""
        return max(1, self.epochs // 5) if self.int8_epochs and self.epochs >= 2 else 0

    def problem(self) -> str | None:
        """The first rule of the class text that is broken, or None."""
        if not 1 <= self.epochs <= MAX_EPOCHS:
            return f"epochs must be in 1..{MAX_EPOCHS}, got {self.epochs}"
        if self.batch < 2:
            return f"a batch must hold at least 2 images, got {self.batch}"
        if not 0 < self.rate < 1:
            return f"the learning rate must be above 0 and below 1, got {self.rate:g}"
        if self.device not in DEVICES:
            return f"device {self.device!r} is not one of {', '.join(DEVICES)}"
        if self.threads < 1:
            return f"threads must be at least 1, got {self.threads}"
        return None
