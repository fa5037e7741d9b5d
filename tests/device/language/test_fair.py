"""Clients take turns, whatever one of them asks; nobody is lost, and nobody holds a turn that he has given up."""

from __future__ import annotations

import asyncio
import random

import pytest

from proof_scale import SCALE
from shoestring.device.language.fair import FairQueue, FullError


def served(asks: list[str], queue: FairQueue) -> list[str]:
    """The order in which clients that all ask at once get their turns."""

    async def go() -> list[str]:
        order: list[str] = []

        async def one(client: str) -> None:
            await queue.enter(client)
            order.append(client)
            await asyncio.sleep(0)
            queue.leave()

        await asyncio.gather(*(one(client) for client in asks))
        return order

    return asyncio.run(go())


class FirstComeQueue(FairQueue):
    """The saboteur: one line for all."""

    async def enter(self, client: str) -> None:
        await super().enter("everybody")


def test_a_client_that_asks_much_does_not_keep_the_others_waiting() -> None:
    asks = ["greedy"] * 20 + ["a", "b", "c"]
    order = served(asks, FairQueue(1))
    assert sorted(order) == sorted(asks)
    assert max(order.index(one) for one in "abc") <= 4
    assert served(asks, FirstComeQueue(1)).index("a") == 20


def test_turns_go_round() -> None:
    order = served(["a"] * 3 + ["b"] * 3 + ["c"] * 3, FairQueue(1))
    assert order == ["a", "a", "b", "c", "a", "b", "c", "b", "c"]


def test_one_hundred_clients_at_once_all_get_their_turn() -> None:
    asks = [str(i) for i in range(100)]
    assert served(asks, FairQueue(3)) == asks


def test_no_more_wait_than_there_are_places() -> None:
    async def go() -> None:
        queue = FairQueue(1, most=3, each=2)
        await queue.enter("a")
        waiting = [asyncio.ensure_future(queue.enter("a")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(FullError) as own:
            await queue.enter("a")
        assert (own.value.own, own.value.waiting, own.value.most) == (True, 2, 2)
        waiting.append(asyncio.ensure_future(queue.enter("b")))
        await asyncio.sleep(0)
        with pytest.raises(FullError) as whole:
            await queue.enter("c")
        assert (whole.value.own, whole.value.waiting, whole.value.most) == (False, 3, 3)
        for _ in range(4):
            queue.leave()
            await asyncio.sleep(0)
        assert all(one.done() for one in waiting)
        assert (queue.busy, queue.waiting) == (0, 0)

    asyncio.run(go())


@pytest.mark.parametrize("seed", range(20 * SCALE))
def test_whoever_gives_up_leaves_no_turn_behind(seed: int) -> None:
    """Cancelled before, at and after the moment of the turn, in any order."""
    draw = random.Random(seed)

    async def go() -> None:
        queue = FairQueue(draw.randint(1, 3), most=1000, each=1000)
        most = 0

        async def one(client: str) -> None:
            nonlocal most
            await queue.enter(client)
            try:
                most = max(most, queue.busy)
                await asyncio.sleep(draw.random() / 500)
            finally:
                queue.leave()

        tasks = [asyncio.ensure_future(one(draw.choice("abc"))) for _ in range(60)]
        while not all(task.done() for task in tasks):
            draw.choice(tasks).cancel()
            await asyncio.sleep(draw.choice((0, 0, 0.001)))
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (queue.busy, queue.waiting) == (0, 0)
        assert most <= queue.slots
        await asyncio.wait_for(queue.enter("d"), 1)

    asyncio.run(go())
