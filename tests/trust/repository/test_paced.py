"""Limits of patience with a clock of the test's own."""

from __future__ import annotations

import pytest

from shoestring.base.limits import MIN_BYTES_A_WINDOW, RATE_WINDOW_SECONDS
from shoestring.trust.repository.paced import PacedSocket


class FakeSocket:
    """Gives `size` bytes a call, and takes `pause_s` for it."""

    def __init__(self, size: int, pause_s: float) -> None:
        self.size, self.pause_s, self.now_s = size, pause_s, 0.0
        self.patience: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.patience.append(seconds)

    def recv_into(self, buffer: memoryview) -> int:
        self.now_s += self.pause_s
        return min(self.size, len(buffer))

    def close(self) -> None:
        pass


def run(size: int, pause_s: float, whole_s: float | None, calls: int) -> FakeSocket:
    """So many reads of a paced socket."""
    fake = FakeSocket(size, pause_s)
    paced = PacedSocket(fake, whole_s, silence_s=5.0, now=lambda: fake.now_s)  # type: ignore[arg-type]
    for _ in range(calls):
        paced.receive_into(memoryview(bytearray(1_000_000)))
    return fake


def test_the_whole_time_ends_however_often_something_comes() -> None:
    fake = run(size=1, pause_s=1.0, whole_s=10.0, calls=10)
    assert fake.patience == [5.0] * 6 + [4.0, 3.0, 2.0, 1.0], "no read waits beyond the end"
    with pytest.raises(TimeoutError, match="as a whole"):
        run(size=1, pause_s=1.0, whole_s=10.0, calls=11)


def test_a_download_may_take_days_as_long_as_it_goes_on() -> None:
    run(size=MIN_BYTES_A_WINDOW, pause_s=RATE_WINDOW_SECONDS / 2, whole_s=None, calls=10_000)


def test_a_download_with_too_few_bytes_ends() -> None:
    seconds = int(RATE_WINDOW_SECONDS)
    with pytest.raises(TimeoutError, match="too few"):
        run(size=MIN_BYTES_A_WINDOW // seconds - 1, pause_s=1.0, whole_s=None, calls=seconds + 1)
    run(size=MIN_BYTES_A_WINDOW // seconds, pause_s=1.0, whole_s=None, calls=10 * seconds)
