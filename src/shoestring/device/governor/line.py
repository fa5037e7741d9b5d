"""A straight line that is learnt while it drifts: y = offset + gain x."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """Both numbers of the line, and how sure we are of them.

    A Kalman filter whose two states walk at random (Kalman, "A New Approach to Linear Filtering and Prediction
    Problems", 1960; the form without inputs).

    Args:
        offset: of y at x = 0.
        gain: y for one of x.
        offset_variance, shared_variance, gain_variance: of the error; the middle one is their covariance.
    """

    offset: float
    gain: float
    offset_variance: float
    shared_variance: float
    gain_variance: float

    def at(self, x: float) -> float:
        """The line's y."""
        return self.offset + self.gain * x

    @property
    def gain_error(self) -> float:
        """Standard deviation of the gain."""
        return math.sqrt(max(0.0, self.gain_variance))

    def older(self, offset_step: float, gain_step: float, seconds: float) -> Line:
        """After so long without a look.

        Args:
            offset_step, gain_step: standard deviation of what each may walk in one second.
        """
        return Line(
            self.offset,
            self.gain,
            self.offset_variance + offset_step * offset_step * seconds,
            self.shared_variance,
            self.gain_variance + gain_step * gain_step * seconds,
        )

    def seen(self, x: float, y: float, noise: float) -> Line:
        """After one look; `noise` is the standard deviation of y's error, above zero."""
        to_offset = self.offset_variance + self.shared_variance * x
        to_gain = self.shared_variance + self.gain_variance * x
        spread = to_offset + to_gain * x + noise * noise
        miss = (y - self.offset - self.gain * x) / spread
        return Line(
            self.offset + to_offset * miss,
            self.gain + to_gain * miss,
            self.offset_variance - to_offset * to_offset / spread,
            self.shared_variance - to_offset * to_gain / spread,
            self.gain_variance - to_gain * to_gain / spread,
        )

    def held(self, offsets: tuple[float, float], gains: tuple[float, float]) -> Line:
        """The line with both numbers kept within (lowest, highest)."""
        offset, gain = min(max(self.offset, offsets[0]), offsets[1]), min(max(self.gain, gains[0]), gains[1])
        if offset == self.offset and gain == self.gain:
            return self
        return Line(offset, gain, self.offset_variance, self.shared_variance, self.gain_variance)
