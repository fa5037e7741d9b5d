"""The loop around the policy."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import pytest

from shoestring.device.governor.nouns import Decision, Work
from shoestring.device.live.tally import Tally
from shoestring.device.live.ticker import Ticker
from shoestring.device.sensors.readings import Readings


class _Sensors:
    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> Readings:
        self.looks += 1
        return Readings(at_s=float(self.looks), celsius=40.0 + self.looks)

    def close(self) -> None:
        pass


class _Counting:
    """Counts its decisions and answers the work that it was told."""

    def start(self) -> int:
        return 0

    def decide(self, state: int, readings: Readings, work: Work, now_s: float) -> tuple[int, Decision]:
        return state + 1, Decision(now_s, f"rung-{state}", float(work.answered), "test", True, {"c": readings.celsius})


def test_there_is_a_decision_before_the_first_frame() -> None:
    ticker = Ticker(_Counting(), _Sensors(), Tally(), clock=lambda: 7.0)
    assert (ticker.decision.rung, ticker.decision.at_s, ticker.readings.celsius) == ("rung-0", 7.0, 41.0)


def test_state_work_and_readings_reach_the_policy_and_the_listener() -> None:
    told: list[tuple[int, Decision, Readings, Work]] = []
    tally = Tally()
    ticker = Ticker(_Counting(), _Sensors(), tally, lambda *all: told.append(all), clock=lambda: 0.0)
    tally.answered(0.1, 0.2)
    decision = ticker.tick()
    assert (decision.rung, decision.rate) == ("rung-1", 1.0)
    assert [line[0] for line in told] == [0, 1] and told[-1][1] == decision
    assert told[-1][2].celsius == 42.0 and told[-1][3].answered == 1


def test_the_thread_decides_until_it_is_closed() -> None:
    seen = threading.Event()
    told: list[str | None] = []

    def listen(state: int, decision: Decision, *_: object) -> None:
        told.append(decision.rung)
        if len(told) > 3:
            seen.set()

    ticker = Ticker(_Counting(), _Sensors(), Tally(), listen, period_s=0.001)
    ticker.start()
    assert seen.wait(60)
    ticker.close()
    ticker.close()
    count = len(told)
    ticker.check()
    assert told[:4] == [f"rung-{number}" for number in range(4)] and count == len(told)


def test_a_broken_governor_is_not_silent() -> None:
    class Broken(_Counting):
        def decide(self, state: int, readings: Readings, work: Work, now_s: float) -> tuple[int, Decision]:
            if state:
                raise ValueError("no policy")
            return super().decide(state, readings, work, now_s)

    ticker = Ticker(Broken(), _Sensors(), Tally(), period_s=0.001)
    ticker.start()
    assert ticker._running is not None
    wait([ticker._running], 60)
    ticker.close()
    with pytest.raises(ValueError, match="no policy"):
        ticker.check()
