"""What there is to tell."""

from __future__ import annotations

import random

from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.device.agent.reporting import told_of
from shoestring.device.agent.watching import MAX_TOLD, Failed, Outlook, Scene, Told, facts

A, B, C = "a" * 64, "b" * 64, "c" * 64
WELL = Outlook()
EMPTY = Scene("", False, 0, ())


def states(told: Told, scene: Scene, outlook: Outlook = WELL, **more: bool) -> list[tuple[str, str]]:
    return [(fact.state, fact.bundle_sha256) for fact in facts(told, scene, outlook, **more)]


def after(told: Told, scene: Scene, outlook: Outlook = WELL) -> Told:
    for fact in facts(told, scene, outlook):
        told = fact.told
    return told


def test_a_new_device_has_nothing_to_tell():
    assert states(Told(), EMPTY) == []
    assert states(Told(), EMPTY, heartbeat=True) == []


def test_what_happened_while_nobody_looked_is_told_in_order():
    """B was tried and failed, C came after it: all while the agent was off."""
    told = after(Told(), Scene(A, False, 1, ()))
    scene = Scene(C, True, 3, (Failed(B, "golden: it answers otherwise"),))
    assert states(told, scene) == [("refused", B), ("trial", C)]
    assert states(after(told, scene), scene) == []


def test_a_bundle_that_was_active_was_rolled_back_and_another_was_refused():
    told = after(Told(), Scene(B, True, 2, ()))
    scene = Scene(A, False, 1, (Failed(B, "crashed: three starts"),))
    found = list(facts(told, scene, Outlook()))
    assert [(fact.state, fact.bundle_sha256, fact.counter) for fact in found] == [("rolled-back", B, 2), ("good", A, 1)]


def test_a_revoked_way_back_did_nothing_wrong():
    told = after(Told(), Scene(B, False, 2, ()))
    assert states(told, Scene(B, False, 2, (Failed(A, "revoked", revoked=True),))) == []
    assert states(told, Scene(A, False, 1, (Failed(B, "revoked", revoked=True),))) == [("rolled-back", B), ("good", A)]


def test_a_repository_is_told_once_for_each_turn():
    told = after(Told(), Scene(A, False, 1, ()))
    scene = Scene(A, False, 1, ())
    away = Outlook("unreachable", "no way")
    assert states(told, scene, away) == [("unreachable", "")]
    told = after(told, scene, away)
    assert states(told, scene, away) == []
    assert states(told, scene, Outlook("stale", "3 days")) == [("stale", "")]
    assert states(told, scene, Outlook()) == [("good", A)]
    assert states(after(told, scene, Outlook()), scene, Outlook()) == []


def test_a_refusal_is_told_once_unless_the_bundle_failed_and_was_told():
    told = after(Told(), Scene(A, False, 1, ()))
    scene = Scene(A, False, 1, ())
    outlook = Outlook("good", "", 2, B, "for another chip", "2 chip")
    assert states(told, scene, outlook) == [("refused", B)]
    assert states(after(told, scene, outlook), scene, outlook) == []
    failed = Scene(A, False, 1, (Failed(B, "golden"),))
    again = Outlook("good", "", 2, B, "failed before", "2 refused-before")
    assert states(told, failed, again) == [("refused", B)]


def test_the_memory_of_what_failed_is_bounded():
    scene = Scene(A, False, 1, tuple(Failed(f"{i:064x}", "golden") for i in range(MAX_TOLD + 50)))
    assert len(after(Told(), scene).failed) == MAX_TOLD


def test_a_mark_of_another_version_tells_again():
    told = after(Told(), Scene(A, False, 1, ()))
    assert told_of(canonical.encode(told).decode()) == told
    assert told_of("") == told_of("{}") == told_of('{"format":9}') == Told()


def test_whatever_is_told_once_is_not_told_again():
    rng = random.Random(3)
    told = Told()
    for _ in range(300 * SCALE):
        failed = tuple(Failed(one, "golden", rng.random() < 0.3) for one in (A, B, C) if rng.random() < 0.3)
        scene = Scene(rng.choice(("", A, B, C)), rng.random() < 0.5, rng.randint(0, 3), failed)
        state = rng.choice(("good", "stale", "bad-repository", "unreachable"))
        refusal = rng.choice(("", "chip"))
        outlook = Outlook(state, "why", 2, B, refusal, f"2 {refusal}")
        told = after(told, scene, outlook)
        assert states(told, scene, outlook) == []
