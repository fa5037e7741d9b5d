"""The keeper on a virtual clock with virtual processes: who answers, who comes next, and that nothing is left over."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from shoestring.base.errors import EngineDownError, EngineError, EngineFaultError
from shoestring.device.supervise.failures import Policy
from shoestring.device.supervise.keeper import Keeper
from shoestring.device.supervise.nouns import Care, Reply
from shoestring.device.supervise.virtual import FAULTS, VirtualWorld
from shoestring.device.supervise.worker import Order, Worker

RUNGS = ("cheap", "middle", "dear")
PIXELS = np.zeros((2, 2, 3), np.uint8)
MOST_STARTS = 25
"""Within a minute: waits between failures allow some ten, moves and replacements as many again."""
COLD = Care(warm=False)


def keeper(world: VirtualWorld, wanted: str = "middle", kind: type[Keeper] = Keeper, **more) -> Keeper:
    given = {"care": Care(), "policy": Policy(), "fall": True, **more}
    return kind(RUNGS, wanted, {}, world.world(), **given)


def run(one: Keeper, world: VirtualWorld, seconds: float, step_s: float = 0.1) -> list[Reply | EngineError]:
    """Frames for so long, and what came of each."""
    said: list[Reply | EngineError] = []
    until = world.now_s + seconds
    while world.now_s < until:
        try:
            said.append(one.infer(PIXELS))
        except EngineError as error:
            said.append(error)
        world.now_s += step_s
    return said


def rungs(said: list[Reply | EngineError]) -> set[str]:
    return {one.rung for one in said if isinstance(one, Reply)}


def downs(said: list[Reply | EngineError]) -> list[EngineDownError]:
    return [one for one in said if isinstance(one, EngineDownError)]


def test_until_the_first_is_ready_it_says_so_at_once():
    world = VirtualWorld()
    one = keeper(world)
    with pytest.raises(EngineDownError, match="rung 'middle' is being loaded") as caught:
        one.infer(PIXELS)
    assert caught.value.next_try_s == 0.0 and world.now_s == 0.0
    assert rungs(run(one, world, 5.0)) == {"middle"}


def test_a_neighbour_is_kept_warm_and_answers_while_the_wanted_one_comes_back():
    world = VirtualWorld()
    one = keeper(world)
    run(one, world, 5.0)
    assert sorted(worker.rung for worker in world.open) == ["cheap", "middle"]
    world.faults.append("crash")
    said = run(one, world, 5.0)
    assert isinstance(said[0], EngineFaultError) and not downs(said)
    assert [getattr(reply, "rung", None) for reply in said[1:3]] == ["cheap", "cheap"]
    assert said[-1].rung == "middle"
    assert one.take_failures() == (("middle", 1),) and one.take_failures() == ()
    assert sorted(worker.rung for worker in world.open) == ["cheap", "middle"]


def test_the_first_restart_is_at_once_and_the_second_waits():
    world = VirtualWorld()
    one = keeper(world, care=COLD, fall=False)
    run(one, world, 5.0)
    for wait_s in (0.0, 0.5):
        world.faults.append("crash")
        with pytest.raises(EngineFaultError, match="crash"):
            one.infer(PIXELS)
        with pytest.raises(EngineDownError) as caught:
            one.infer(PIXELS)
        assert caught.value.next_try_s == pytest.approx(wait_s)
        assert caught.value.fault == "crashed"
        run(one, world, 5.0)
        assert one.running == "middle"


def test_three_failures_in_five_minutes_leave_the_rung_and_it_is_tried_again_after_its_rest():
    world = VirtualWorld()
    one = keeper(world)
    run(one, world, 5.0)
    for _ in range(3):
        world.faults.append("crash")
        run(one, world, 20.0)
    state = {state.name: state for state in one.states()}["middle"]
    assert (state.state, state.failures) == ("resting", 3) and 500 < state.next_try_s <= 600
    assert "crash" in state.why
    assert rungs(run(one, world, 500.0, 1.0)) == {"cheap"}
    run(one, world, 100.0, 1.0)
    assert rungs(run(one, world, 10.0)) == {"middle"}


def test_without_leave_to_fall_nothing_else_answers():
    world = VirtualWorld()
    one = keeper(world, fall=False)
    said = run(one, world, 5.0)
    for _ in range(6):
        world.faults.append("crash")
        said += run(one, world, 20.0)
    assert rungs(said) == {"middle"}
    assert {worker.rung for worker in world.open} == {"middle"}


def test_where_no_other_rung_may_run_the_same_is_kept_warm():
    world = VirtualWorld(wrong=("cheap", "dear"))
    one = keeper(world, care=Care(recycle_frames=200))
    run(one, world, 20.0)
    assert [worker.rung for worker in world.open] == ["middle", "middle"]
    world.faults.append("crash")
    said = run(one, world, 10.0)
    assert not isinstance(said[0], Reply) and rungs(said[1:]) == {"middle"} and not downs(said)
    before = world.started
    said = run(one, world, 60.0)
    assert not downs(said) and world.started > before and world.most == 2


def test_where_all_rest_the_one_that_runs_goes_on():
    world = VirtualWorld()
    one = keeper(world, care=COLD)
    run(one, world, 5.0)
    for _ in range(9):
        world.faults.append("crash")
        run(one, world, 6.0)
    assert {state.state for state in one.states()} == {"resting"}
    said = run(one, world, 60.0)
    assert len(rungs(said)) == 1 and len(downs(said)) <= 10


def test_where_all_rest_the_warm_one_is_started_once():
    world = VirtualWorld()
    one = keeper(world)
    run(one, world, 5.0)
    for _ in range(12):
        world.faults.append("crash")
        run(one, world, 3.0)
    assert {state.state for state in one.states()} == {"resting"}
    run(one, world, 60.0)
    before = world.started
    run(one, world, 60.0)
    assert world.started == before and one.processes == 2


def test_a_rung_whose_golden_set_fails_here_never_answers():
    world = VirtualWorld(wrong=("middle",))
    one = keeper(world)
    assert rungs(run(one, world, 1000.0, 1.0)) == {"cheap"}
    assert {state.name: state.state for state in one.states()}["middle"] == "refused"
    assert world.started <= 4
    one.wanted = "middle"
    assert rungs(run(one, world, 100.0, 1.0)) == {"cheap"}


def test_where_every_rung_is_refused_there_is_no_next_try():
    world = VirtualWorld(wrong=RUNGS)
    one = keeper(world)
    run(one, world, 20.0)
    with pytest.raises(EngineDownError, match=r"no rung runs on this device: .*answers otherwise") as caught:
        one.infer(PIXELS)
    assert caught.value.next_try_s is None
    assert world.started == 3 and not world.open


def test_a_move_costs_no_gap_and_the_way_back_no_wait():
    world = VirtualWorld(load_s=3.0)
    one = keeper(world)
    run(one, world, 10.0)
    one.wanted = "dear"
    said = run(one, world, 10.0)
    assert not downs(said) and said[0].rung == "middle" and said[-1].rung == "dear"
    one.wanted = "middle"
    assert one.infer(PIXELS).rung == "middle"


@pytest.mark.parametrize(
    ("care", "leak_bytes"),
    [
        (Care(recycle_frames=50), 0),
        (Care(recycle_s=8.0, recycle_frames=None), 0),
        (Care(growth_bytes=50_000_000, recycle_frames=None), 1_000_000),
    ],
    ids=["frames", "age", "growth"],
)
def test_a_process_is_replaced_before_it_breaks_and_without_a_gap(care, leak_bytes):
    world = VirtualWorld(leak_bytes=leak_bytes)
    one = keeper(world, care=care)
    run(one, world, 3.0)
    before = world.started
    said = run(one, world, 30.0)
    assert rungs(said) == {"middle"} and not downs(said) and len(said) > 100
    assert world.started - before >= 2
    assert one.take_failures() == ()
    assert max(worker.size for worker in world.open) < 60_000_000 + 70_000_000


def test_where_memory_is_short_the_old_one_goes_first():
    world = VirtualWorld(memory_bytes=150_000_000)
    one = keeper(world, care=Care(recycle_frames=50))
    said = run(one, world, 60.0)
    assert world.most == 1 and world.started > 2
    assert 0 < len(downs(said)) < 0.2 * len(said)


def test_a_limit_of_memory_is_for_all_processes_together():
    world = VirtualWorld()
    one = keeper(world, care=Care(memory_bytes=100_000_000))
    run(one, world, 30.0)
    assert world.most == 1
    one.wanted = "cheap"
    run(one, world, 30.0)
    assert world.most == 1 and one.running == "cheap"


def test_who_dies_between_frames_is_missed_within_a_second():
    world = VirtualWorld()
    one = keeper(world, care=COLD)
    run(one, world, 5.0)
    world.faults.append("idle")
    run(one, world, 1.2)
    assert one.take_failures() == (("middle", 1),)
    run(one, world, 1.0)
    assert one.running == "middle"


def test_after_closing_nothing_is_left_and_nothing_starts():
    world = VirtualWorld()
    one = keeper(world)
    run(one, world, 5.0)
    one.close()
    one.close()
    assert not world.open and one.processes == 0
    with pytest.raises(EngineError, match="closed"):
        one.infer(PIXELS)
    one.tend()
    assert not world.open


def hold(kind: type[Keeper], seed: int) -> None:
    """A virtual day of random faults and moves; every rule that must hold after each frame."""
    generator = random.Random(seed)
    world = VirtualWorld(wrong=("dear",), memory_bytes=generator.choice([150_000_000, 220_000_000, 900_000_000]))
    one = keeper(world, kind=kind, care=Care(recycle_frames=500, recycle_s=3000.0))
    started_s: list[float] = []

    def start(order: Order) -> Worker:
        started_s.append(world.now_s)
        return world.start(order)

    start.world = world  # type: ignore[attr-defined]  # for who breaks the clock
    one._world = replace(one._world, start=start)
    for _ in range(4000):
        if generator.random() < 0.02:
            world.faults.append(generator.choice(FAULTS))
        if generator.random() < 0.01:
            one.wanted = generator.choice(RUNGS)
        before = world.now_s
        try:
            reply = one.infer(PIXELS)
            assert reply.rung in ("cheap", "middle"), "a refused rung answered"
        except EngineError as error:
            assert not isinstance(error, EngineDownError) or world.now_s == before, "it waited"
        assert world.now_s - before <= 1.0 + 1e-9, "it took longer than a frame may"
        assert world.open == {held.worker for held in (one._active, one._warm, one._coming) if held is not None}, (
            "a process is left over"
        )
        recent = sum(1 for at_s in started_s if world.now_s - at_s <= 60.0)
        assert recent <= MOST_STARTS, "it starts processes without end"
        world.now_s += generator.choice([0.1] * 9 + [5.0])
    one.close()
    assert not world.open, "a process is left over"


@pytest.mark.parametrize("seed", range(5))
def test_a_day_of_anything(seed):
    hold(Keeper, seed)


class Leaky(Keeper):
    """Forgets to end what broke."""

    def _lose(self, held, error):
        held.worker.close = lambda: None
        super()._lose(held, error)


class Forgiving(Keeper):
    """Tries again what its golden set has refused."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self._book.refused = lambda rung, error: None


class Patient(Keeper):
    """Waits for an engine instead of saying that there is none."""

    def down(self):
        self._world.start.world.now_s += 0.5
        return super().down()


@pytest.mark.parametrize(
    ("kind", "why"),
    [(Leaky, "left over"), (Forgiving, "without end"), (Patient, "it waited")],
    ids=["leaky", "forgiving", "patient"],
)
def test_a_broken_keeper_is_caught(kind, why):
    with pytest.raises(AssertionError, match=why):
        hold(kind, 0)
