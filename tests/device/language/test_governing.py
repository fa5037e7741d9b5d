"""The governor between answers: it changes the rung of the next one, never of one under way, and has the board rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from governing import board, model_of
from null_writers import NullWriter
from serving_asks import until
from shoestring.base.errors import EngineDownError, UsageError
from shoestring.chips.loading import catalogue
from shoestring.device.governor import Decision, Limits, Policy, RungPlan, explain
from shoestring.device.language.garage import CancelledError
from shoestring.device.language.governing import Governing
from shoestring.device.language.plans import plans_of, quality
from shoestring.device.language.running import WriterRunning
from shoestring.device.live.asked import Asked
from shoestring.device.live.keeping import Moves
from shoestring.device.live.listeners import Listeners
from shoestring.device.live.tally import Tally
from shoestring.device.live.ticker import Ticker
from shoestring.device.sensors.readings import Readings
from shoestring.device.simulated.board import SimulatedBoard, Truth
from text_bundles import RUNGS, make_writer_parts

CHIP = "raspberry-pi-4b-4gb"
ANSWER_TOKENS = 60
LOAD_WATTS = 2.5
PLANS = (
    RungPlan("small", 0.80, True, 0.08, 0.09, LOAD_WATTS, 100 << 20),
    RungPlan("large", 0.97, True, 0.16, 0.18, LOAD_WATTS, 200 << 20),
)


class Day:
    """A board that writes one answer after the other, without a wall clock."""

    def __init__(self, on: SimulatedBoard, limits: Limits, path: Path | None = None) -> None:
        self.board = on
        self.plans = {plan.name: plan for plan in PLANS}
        policy = Policy(PLANS, limits, model_of(CHIP))
        clock = lambda: on.now_s  # noqa: E731
        self.kept = Listeners(() if path is None else (Moves(path, policy, clock),), clock)
        self.tally = Tally()
        told = lambda before, decision, readings, work: self.kept.decision(before, decision, readings, work)  # noqa: E731
        self.ticker = Ticker(policy, on, self.tally, told, clock)
        self.governing = Governing(self.ticker, self.tally, limits.rate, clock=clock, sleep=self.rest, patience_s=1e9)
        self.answers: list[tuple[float, str]] = []
        self.hottest = 0.0
        self.slept = 0.0

    def rest(self, seconds: float) -> None:
        self.slept += seconds
        if self.slept >= 1.0:
            self.slept = 0.0
            self.board.advance(1.0)
            self.ticker.tick()

    def go(self, seconds: float, always: str | None = None) -> None:
        until_s = self.board.now_s + seconds
        while self.board.now_s < until_s:
            rung = always or self.governing.turn(lambda: False)
            self.answers.append((self.board.now_s, rung))
            left = ANSWER_TOKENS
            while left > 0:
                work = self.board.advance(1.0, self.plans[rung], 1e9)
                left -= work.answered
                if work.busy_s is not None:
                    self.governing.wrote(rung, work.busy_s * work.answered, work.answered)
                self.ticker.tick()
                self.hottest = max(self.hottest, self.board.celsius)


def hot(seconds: float) -> float:
    """A cool morning, and a hot noon that comes within half an hour."""
    return 20.0 + 25.0 * min(1.0, max(0.0, seconds - 1800) / 1800)


def test_heat_changes_the_rung_of_later_answers_and_every_move_is_explained(tmp_path: Path) -> None:
    limits = Limits(rate=1 / 0.16, celsius=70.0)
    day = Day(board(CHIP, air=hot, truth=Truth()), limits, tmp_path / "moves.jsonl")
    day.go(5400)
    day.kept.close()
    morning = {rung for at_s, rung in day.answers if at_s < 1500}
    assert "large" in morning
    assert len(day.answers) > 100
    assert "small" in {rung for at_s, rung in day.answers if at_s > 3600}
    assert day.hottest < 73.5  # an answer under way is finished
    told = explain(tmp_path / "moves.jsonl")
    assert told.replayed.problems == ()
    assert any("heat" in line or "C" in line for line in told.lines)
    # The saboteur: a server that does not ask the governor.
    other = Day(board(CHIP, air=hot, truth=Truth()), limits)
    other.go(5400, always="large")
    assert other.hottest > 75.0


class Still:
    """A ticker whose decisions the test makes."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision

    def check(self) -> None:
        """It is well."""


def decided(rung: str | None, rate: float) -> Still:
    return Still(Decision(0.0, rung, rate, "heat", True))


class Clock:
    """Time passes by sleeping only."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def governing(ticker: Still, clock: Clock, **more: float) -> Governing:
    return Governing(ticker, Tally(), 10.0, clock=clock, sleep=clock.sleep, **more)  # type: ignore[arg-type]


def test_a_board_that_is_held_down_rests_between_answers() -> None:
    clock = Clock()
    ours = governing(decided("small", 5.0), clock)
    for _ in range(100):  # ten tokens a second are written, five are allowed
        clock.now_s += 0.1
        ours.wrote("small", 0.1, 1)
    assert clock.now_s == pytest.approx(10.0)
    assert ours.turn(lambda: False) == "small"
    assert clock.now_s == pytest.approx(20.0, abs=0.2)


@pytest.mark.parametrize(("seconds", "waits"), [(30, 0.0), (600, 540.0)])
def test_only_a_server_without_pauses_is_slowed_to_what_the_governor_reckons_with(seconds: int, waits: float) -> None:
    clock = Clock()
    ours = governing(decided("small", 10.0), clock, patience_s=1e9)
    for _ in range(25 * seconds):  # twice what is wanted with its slack
        clock.now_s += 0.04
        ours.wrote("small", 0.04, 1)
    ours.turn(lambda: False)
    assert clock.now_s - seconds == pytest.approx(waits, abs=0.1)


def test_a_board_that_rests_is_waited_for_and_then_told() -> None:
    clock = Clock()
    ticker = decided(None, 0.0)
    ours = governing(ticker, clock, patience_s=5.0)
    assert not ours.ready
    with pytest.raises(EngineDownError, match=r"must rest \(heat\)") as down:
        ours.turn(lambda: False)
    assert down.value.next_try_s == 5.0
    assert clock.now_s == pytest.approx(5.0, abs=0.1)
    with pytest.raises(CancelledError):
        ours.turn(lambda: True)
    ticker.decision = Decision(0.0, "large", 9.0, "climb", True)
    assert ours.turn(lambda: False) == "large"


def test_plans_are_of_tokens_and_of_certified_agreement() -> None:
    ladder = make_writer_parts().manifest.ladder
    plans = plans_of(ladder, catalogue()[CHIP])
    assert [plan.name for plan in plans] == list(RUNGS)
    for plan in plans:
        rung = ladder.rung(plan.name)
        assert plan.busy_s == rung.candidate.cost.at(rung.threads).median_ms / 1000
        assert plan.certified
        assert plan.load_watts is not None
    assert plans[-1].quality == 1.0  # the original itself
    assert plans[0].quality < plans[1].quality < 1.0
    assert quality(ladder.rungs[0]) == ladder.rungs[0].candidate.divergence.agreement_low  # type: ignore[union-attr]
    assert plans_of(ladder, None)[0].load_watts is None


class Cool:
    """A board whose heat the test sets."""

    def __init__(self) -> None:
        self.celsius = 30.0
        self.closed = False

    def look(self) -> Readings:
        import time

        return Readings(time.monotonic(), self.celsius, memory_free_bytes=8 << 30)

    def close(self) -> None:
        self.closed = True


def test_a_bundle_at_work_loads_what_the_governor_picks_before_it_is_asked(tmp_path: Path) -> None:
    made: list[NullWriter] = []

    def make(rung: str) -> NullWriter:
        made.append(NullWriter(rung))
        return made[-1]

    sensors = Cool()
    manifest = make_writer_parts().manifest
    with WriterRunning(
        manifest, make, Asked(celsius=70.0), journal=tmp_path / "moves.jsonl", sensors=sensors
    ) as running:
        assert running.governing.turn(lambda: False) == made[0].rung
        assert running.rungs.names == RUNGS
        assert running.limits.rate == pytest.approx(1 / running.plans[0].busy_s)
        with running.garage.lease(made[0].rung):
            # Its engine breaks again and again: the governor leaves it alone, and the next rung is loaded meanwhile.

            def loaded_meanwhile() -> bool:
                running.governing.failed(made[0].rung)
                return len(made) == 2

            until(loaded_meanwhile)
            assert not made[0].closed
        assert made[1].rung == running.ticker.decision.rung
    assert sensors.closed
    assert all(writer.closed for writer in made)
    assert explain(tmp_path / "moves.jsonl").replayed.problems == ()


def test_only_what_was_asked_for_may_run() -> None:
    models = {name: b"GGUF" + bytes(1000 * (place + 1)) for place, name in enumerate(RUNGS)}
    manifest = make_writer_parts(models=models).manifest

    def running(asked: Asked) -> WriterRunning:
        return WriterRunning(manifest, NullWriter, asked, sensors=Cool())

    with running(Asked(rung=RUNGS[1])) as pinned:
        assert pinned.rungs.names == (RUNGS[1],)
        assert pinned.governing.turn(lambda: False) == RUNGS[1]
    sizes = [rung.candidate.cost.peak_rss_bytes for rung in manifest.ladder.rungs]
    assert len(set(sizes)) == 3
    with running(Asked(memory_bytes=sorted(sizes)[1])) as small:
        assert len(small.rungs.names) == 2
    with pytest.raises(UsageError, match="no rung fits"):
        running(Asked(memory_bytes=1000))
    with pytest.raises(UsageError, match="no rung is called"):
        running(Asked(rung="other"))
    image = replace(manifest, generation=None)
    with pytest.raises(UsageError, match="does not write"):
        WriterRunning(image, NullWriter, Asked(), sensors=Cool())
