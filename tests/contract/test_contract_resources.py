"""What every runtime leaves behind: no memory, no threads, no busy processor. Looked at in a process of its own."""

from __future__ import annotations

import pytest

from proof_scale import SCALE
from runtime_forms import FORMS, null_model
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.runtimes import registry

LIMITS = ChildLimits(seconds=280)
RUNS = 300
SESSIONS = min(300, 45 * SCALE)
FIRST = 15
"""Uses before the first look: pools and caches are filled then."""
GROWTH_BYTES = 3_000_000
"""Engines that leak nothing grew by up to 0.35 MB over 300 sessions, which is the heap settling."""
IDLE_MS = 60.0
"""Processor time over a second of rest; a thread that spins takes all it can get."""


def soak(name: str, model: bytes, path, first: int = FIRST, runs: int = RUNS, sessions: int = SESSIONS):
    path.write_bytes(model)
    request = {"runtime": name, "model": str(path), "first": first, "runs": runs, "sessions": sessions}
    return run_in_child("contract_children:soak", request, LIMITS)


def test_nothing_is_left_behind(case, tmp_path):
    left = soak(case.name, case.model, tmp_path / "model")
    for use in ("runs", "sessions"):
        assert left[use]["bytes"] < GROWTH_BYTES, f"memory grew over many {use}"
        assert left[use]["threads"] <= 0, f"threads were added over many {use}"
    assert left["open_idle_ms"] < IDLE_MS, "an idle session keeps the processor busy"
    assert left["closed_idle_ms"] < IDLE_MS, "a closed session keeps the processor busy"


def test_a_leak_is_noticed(tmp_path):
    left = soak("null", null_model(allocate_bytes=40_000), tmp_path / "model", runs=100, sessions=100)
    assert left["runs"]["bytes"] > GROWTH_BYTES
    assert left["sessions"]["bytes"] > GROWTH_BYTES


def test_stray_threads_are_noticed(tmp_path):
    left = soak("null", null_model(stray_threads=True), tmp_path / "model", first=1, runs=2, sessions=2)
    assert left["runs"]["threads"] > 0 and left["sessions"]["threads"] > 0
    assert left["closed_idle_ms"] > IDLE_MS


@pytest.mark.parametrize("chatter_bytes", [0, 100])
def test_noise_would_be_noticed(capfd, chatter_bytes):
    """The fixture `quiet` fails any test of this folder in which an engine writes to our streams: here it would."""
    with registry.get("null").load(null_model(chatter_bytes=chatter_bytes), 1) as session:
        session.run(FORMS["null"].feeds())
    assert (capfd.readouterr() == ("", "")) == (chatter_bytes == 0)
