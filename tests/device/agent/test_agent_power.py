"""Power cuts under the agent's own files: every state that may be on the medium at every point is a sound one."""

from __future__ import annotations

from pathlib import Path

import power
from proof_scale import SCALE
from shoestring.device.agent.identity import device_key
from shoestring.device.agent.memory import Memory, read_memory, remember
from shoestring.device.agent.policy import Seen
from shoestring.device.agent.queue import ReportQueue

LIMIT = 1500 * SCALE


def report(word: str):
    return lambda number: f"{number} {word}"


def queue_of(most: int) -> power.Scenario:
    """Told, sent, refused, and where `most` is 3 one makes room. What a collector saw and what returned is said."""

    def prepare(root: Path) -> None:
        queue = ReportQueue(root / "reports", most)
        for word in ("a", "b"):
            queue.add(report(word), word)

    def act(root: Path, done: power.Done) -> None:
        queue = ReportQueue(root / "reports", most)
        for word in ("c", "d"):
            done(f"kept {queue.add(report(word), word)} {word}")
        for finish in (queue.sent, queue.rejected):
            entry = queue.first()
            assert entry is not None
            done(f"seen {entry.sequence} {entry.envelope}")
            finish(entry)
            done(f"over {entry.sequence}")
        done(f"kept {queue.add(report('e'), 'e')} e")

    def check(root: Path, done: tuple[str, ...]) -> None:
        over = [int(label.split()[1]) for label in done if label.startswith("over")]
        assert not any((root / "reports" / f"{number:012d}.json").exists() for number in over), "it takes room still"
        queue = ReportQueue(root / "reports", most)
        held, through = {}, queue.done.through
        while (entry := queue.first()) is not None:
            held[entry.sequence] = entry.envelope
            queue.sent(entry)
        assert queue.done.damaged == 0
        assert through >= max(over, default=0), "it would be sent again"
        for kind, number, words in (label.split(" ", 2) for label in done if not label.startswith("over")):
            kept = words if kind == "seen" else f"{number} {words}"
            assert int(number) <= through or held.get(int(number)) == kept, (
                "lost, or another under a number that was seen"
            )
        numbers = [int(label.split()[1]) for label in done]
        assert queue.add(report("new"), "new") > max(numbers, default=2)

    return power.Scenario(prepare, act, check)


def test_the_queue_after_a_cut():
    for most in (3, 100):
        print(f"{power.cut(queue_of(most), seed=5, limit=LIMIT)} states of the queue of reports")


def test_no_fsync_of_the_queue_is_idle():
    """Each one left out loses a report that was kept, a number that was seen, or room."""
    assert power.drop_each(queue_of(100), seed=5, limit=LIMIT) == []


def use_memory(root: Path, done: power.Done) -> None:
    memory, _ = read_memory(root)
    for counter in (2, 3):
        memory = remember(root, memory, "porch", Seen(counter, f"{counter}" * 64))
        done(f"{counter}")


def check_memory(root: Path, done: tuple[str, ...]) -> None:
    memory, trouble = read_memory(root)
    assert trouble == ""
    assert memory.seen["porch"].counter >= max((int(label) for label in done), default=1)


def prepare_memory(root: Path) -> None:
    remember(root, Memory(), "porch", Seen(1, "1" * 64))


MEMORY = power.Scenario(prepare_memory, use_memory, check_memory)


def test_counters_after_a_cut():
    print(f"{power.cut(MEMORY, seed=5, limit=LIMIT)} states of the counters")
    assert power.drop_each(MEMORY, seed=5, limit=LIMIT) == []


def use_key(root: Path, done: power.Done) -> None:
    done(device_key(root / "agent").public.key_id)


def check_key(root: Path, done: tuple[str, ...]) -> None:
    path = root / "agent" / "device.pem"
    if path.exists():
        path.chmod(0o600)  # as it was made; the model keeps names and bytes, not permissions
    held = device_key(root / "agent").public.key_id
    assert all(held == label for label in done), "the device became another one"
    assert device_key(root / "agent").public.key_id == held


def test_a_device_stays_who_it_is():
    print(f"{power.cut(power.Scenario(lambda root: None, use_key, check_key), seed=5, limit=LIMIT)} states of the key")
