"""Which student: shapes that meet the latency, then a short race between them.

For each way of getting smaller (image, depth) the width is found by bisection, measuring the real latency at each
point. What meets the target is trained for a short while, and the one that answers most like the original wins: the
first rung of successive halving (Jamieson & Talwalkar, AISTATS 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shoestring.base.errors import BudgetError

MARGIN = 0.97  # the search aims a little lower, since the last measurement is another one
RATIO_STEPS = 16  # widths tried are multiples of 1/16
MOST_STEPS = 14  # 7 of 8 channels gone: nothing below learns


@dataclass(frozen=True)
class Shape:
    """How a student differs from the original.

    Args:
        image: 1 for the original's image, 2 for half its side, and so on.
        dropped: names of the residual blocks that are gone.
        ratio: part of the channels that is gone.
    """

    image: int
    dropped: tuple[str, ...]
    ratio: float

    def words(self) -> str:
        """For people."""
        parts = [] if self.image == 1 else [f"image side / {self.image}"]
        parts += [f"{len(self.dropped)} residual blocks less"] if self.dropped else []
        parts += [f"{100 * self.ratio:.0f} % of the channels less"] if self.ratio else []
        return ", ".join(parts) or "the original's own shape"


@dataclass(frozen=True)
class Found:
    """A shape that meets the target, and its latency in ms."""

    shape: Shape
    latency_ms: float


def families(images: Sequence[int], harmless: Sequence[str]) -> tuple[Shape, ...]:
    """The ways to get smaller, before any width: each image size, with all blocks and without a third of them.

    Args:
        images: divisors of the image's side.
        harmless: residual blocks, the one whose removal hurts least first.
    """
    depths: list[tuple[str, ...]] = [()]
    if len(harmless) >= 3:
        depths.append(tuple(harmless[: len(harmless) // 3]))
    return tuple(Shape(image, dropped, 0.0) for image in images for dropped in depths)


def widest(family: Shape, latency: Callable[[Shape], float], target_ms: float) -> tuple[Found | None, float]:
    """The widest member that meets the target, by bisection.

    Args:
        family: of ratio 0.
        latency: measures a shape, ms.
        target_ms: at most this.

    Returns:
        It, or None when not even the narrowest does; and the smallest latency seen, ms.
    """

    def at(step: int) -> Found:
        shape = Shape(family.image, family.dropped, step / RATIO_STEPS)
        return Found(shape, latency(shape))

    whole = at(0)
    if whole.latency_ms <= target_ms:
        return whole, whole.latency_ms
    best = at(MOST_STEPS)
    if best.latency_ms > target_ms:
        return None, best.latency_ms
    low, high = 0, MOST_STEPS  # `low` misses the target, `high` meets it
    while high - low > 1:
        middle = at((low + high) // 2)
        if middle.latency_ms <= target_ms:
            high, best = (low + high) // 2, middle
        else:
            low = (low + high) // 2
    return best, best.latency_ms


def search(
    shapes: Sequence[Shape], latency: Callable[[Shape], float], target_ms: float, say: Callable[[str], None]
) -> tuple[Found, ...]:
    """For each family its widest member that meets the target.

    Raises:
        BudgetError: no family does; the message names the fastest.
    """
    found, fastest = [], float("inf")
    for family in shapes:
        best, smallest = widest(family, latency, MARGIN * target_ms)
        fastest = min(fastest, smallest)
        if best is None:
            say(f"{family.words()}: not below {smallest:.3f} ms at any width")
        else:
            say(f"within the target: {best.shape.words()}, {best.latency_ms:.3f} ms")
            found.append(best)
    if not found:
        raise BudgetError(
            f"no student reaches {target_ms:g} ms on this machine, the fastest takes {fastest:.3f} ms",
            hint="ask for a higher latency, or start from a smaller model",
        )
    return tuple(found)


def pick(found: Sequence[Found], divergence: Callable[[Found], float], say: Callable[[str], None]) -> Found:
    """The one of smallest divergence from the original after a short training; the only one needs no race."""
    if len(found) == 1:
        return found[0]
    scores = []
    for one in found:
        scores.append(divergence(one))
        say(f"race: {one.shape.words()}: {scores[-1]:.3f} nats from the original")
    return found[scores.index(min(scores))]
