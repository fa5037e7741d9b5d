"""What a device does about a release, for every standing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proof_scale import SCALE
from shoestring.device.agent.policy import (
    REFUSALS,
    Action,
    FetchDelta,
    FetchWhole,
    Refuse,
    Resting,
    RollBack,
    Seen,
    Standing,
    Stay,
    decide,
    seen_after,
    version_of,
)
from shoestring.domain.release import RELEASE_FORMAT, DeltaFrom, Release

A, B, C = "a" * 64, "b" * 64, "c" * 64
BUNDLES = (A, B, C)
RELEASE = Release(RELEASE_FORMAT, "porch", 5, "camera", B, 1000, 1_700_000_000, "0.1.0", None, (), ())
STANDING = Standing(A, None, frozenset(), Seen(4, A), "raspberry-pi-4b-4gb", "0.1.0")


def delta(old: str, size_bytes: int = 10) -> DeltaFrom:
    return DeltaFrom(old, "d" * 64, size_bytes)


def refused(action: Action) -> str | None:
    return action.reason if isinstance(action, Refuse) else None


def test_a_new_bundle_is_fetched():
    assert decide(STANDING, RELEASE, 0.0) == FetchWhole()
    assert decide(replace(STANDING, active=None, seen=None), RELEASE, 0.0) == FetchWhole()


def test_what_runs_already_needs_nothing():
    assert decide(replace(STANDING, active=B), RELEASE, 0.0) == Stay("active")
    assert decide(replace(STANDING, active=B, previous=A), RELEASE, 0.0) == Stay("active")


def test_older_releases_and_two_under_one_number_are_refused():
    assert refused(decide(replace(STANDING, seen=Seen(6, A)), RELEASE, 0.0)) == "older"
    assert refused(decide(replace(STANDING, seen=Seen(5, A)), RELEASE, 0.0)) == "twofold"
    assert decide(replace(STANDING, seen=Seen(5, B)), RELEASE, 0.0) == FetchWhole()


def test_a_release_that_revokes_what_it_asks_for_is_refused():
    assert refused(decide(STANDING, replace(RELEASE, revoked=(B,)), 0.0)) == "revoked"


def test_a_revoked_bundle_gives_way_at_once_whatever_the_release_asks_for():
    standing = replace(STANDING, previous=C)
    for release in (
        replace(RELEASE, revoked=(A,)),
        replace(RELEASE, revoked=(A,), chip="another"),
        replace(RELEASE, revoked=(A,), minimum_version="9"),
        replace(RELEASE, revoked=(A,), bundle_sha256=C),
    ):
        assert decide(standing, release, 0.0) == RollBack(A, C)
    assert decide(replace(standing, refused=frozenset({B})), replace(RELEASE, revoked=(A,)), 0.0) == RollBack(A, C)


def test_a_revoked_bundle_goes_on_where_there_is_nothing_to_go_back_to():
    for standing in (STANDING, replace(STANDING, previous=C, refused=frozenset({C}))):
        assert decide(standing, replace(RELEASE, revoked=(A,)), 0.0) == FetchWhole()
    both = replace(RELEASE, revoked=(A, C))
    assert decide(replace(STANDING, previous=C), both, 0.0) == FetchWhole()


def test_what_failed_here_is_not_tried_again():
    assert refused(decide(replace(STANDING, refused=frozenset({B})), RELEASE, 0.0)) == "refused-before"


@pytest.mark.parametrize("chip", ["coral-dev-board", None])
def test_bundles_for_other_chips_are_refused(chip):
    release = replace(RELEASE, chip="raspberry-pi-4b-4gb")
    assert decide(STANDING, release, 0.0) == FetchWhole()
    assert refused(decide(replace(STANDING, chip=chip), release, 0.0)) == "chip"


@pytest.mark.parametrize(
    ("here", "least", "fits"),
    [
        ("0.1.0", "0.1.0", True),
        ("0.1", "0.1.0", True),
        ("0.9.0", "0.10.0", False),
        ("0.10.0", "0.9.0", True),
        ("1.2.3.dev4", "1.2.3", True),
        ("1.0.0", "1.0.1", False),
        ("1.0.0", "soon", False),
    ],
)
def test_newer_versions_are_needed_or_not(here, least, fits):
    action = decide(replace(STANDING, version=here), replace(RELEASE, minimum_version=least), 0.0)
    assert refused(action) == (None if fits else "version")


def test_versions_that_are_none():
    for text in ("", "v1", "١.2", "-1"):
        with pytest.raises(ValueError, match="is not a version"):
            version_of(text)


def test_a_failure_that_may_pass_rests_this_bundle_alone():
    resting = replace(STANDING, resting=Resting(B, 100.0))
    assert decide(resting, RELEASE, 99.9) == Stay("resting")
    assert decide(resting, RELEASE, 100.0) == FetchWhole()
    assert decide(replace(resting, resting=Resting(C, 100.0)), RELEASE, 0.0) == FetchWhole()


def test_the_smallest_delta_from_a_held_bundle():
    release = replace(RELEASE, deltas=(delta(C, 30), delta(A, 20), delta("e" * 64, 1)))
    assert decide(STANDING, release, 0.0) == FetchDelta(delta(A, 20))
    assert decide(replace(STANDING, active=None, previous=C), release, 0.0) == FetchDelta(delta(C, 30))
    assert decide(replace(STANDING, active=None), release, 0.0) == FetchWhole()
    assert decide(STANDING, replace(RELEASE, deltas=(delta(A, 1000),)), 0.0) == FetchWhole()


bundles = st.sampled_from(BUNDLES)
seens = st.none() | st.builds(Seen, st.integers(1, 4), bundles)
standings = st.builds(
    Standing,
    active=st.none() | bundles,
    previous=st.none() | bundles,
    refused=st.frozensets(bundles),
    seen=seens,
    chip=st.sampled_from([None, "x", "y"]),
    version=st.sampled_from(["0.1.0", "0.2.0"]),
    resting=st.none() | st.builds(Resting, bundles, st.floats(0, 10)),
)
releases = st.builds(
    Release,
    format=st.just(RELEASE_FORMAT),
    group=st.just("porch"),
    counter=st.integers(1, 4),
    name=st.just("camera"),
    bundle_sha256=bundles,
    bundle_bytes=st.integers(1, 40),
    issued_s=st.just(0),
    minimum_version=st.sampled_from(["0.1.0", "0.2.0"]),
    chip=st.sampled_from([None, "x"]),
    deltas=st.lists(st.builds(delta, bundles, st.integers(1, 40)), max_size=3).map(tuple),
    revoked=st.lists(bundles, max_size=3, unique=True).map(tuple),
)


def broken_laws(standing: Standing, release: Release, now_s: float, action: Action) -> list[str]:
    """What no decision may do."""
    fetches = isinstance(action, (FetchWhole, FetchDelta))
    wanted, revoked = release.bundle_sha256, release.revoked
    seen, rest = standing.seen, standing.resting
    held = (standing.active, standing.previous)
    same = seen is not None and (seen.counter, seen.bundle_sha256) == (release.counter, wanted)
    fit_for_chip = release.chip in (None, standing.chip)
    fit_for_version = version_of(standing.version) >= version_of(release.minimum_version)
    laws = {
        "a refusal has a known reason": not isinstance(action, Refuse) or action.reason in REFUSALS,
        "nothing older, one number one bundle": not fetches or seen is None or same or release.counter > seen.counter,
        "nothing revoked": not fetches or wanted not in revoked,
        "nothing that failed": not fetches or wanted not in standing.refused,
        "nothing that runs": not fetches or wanted != standing.active,
        "nothing unfit": not fetches or (fit_for_chip and fit_for_version),
        "rest is kept": not fetches or rest is None or rest.bundle_sha256 != wanted or now_s >= rest.until_s,
        "a delta has its base": not isinstance(action, FetchDelta) or action.delta.old_sha256 in held,
    }
    if isinstance(action, RollBack):
        sound = action.to == standing.previous and action.to not in revoked and action.to not in standing.refused
        laws |= {"back to what may run": sound, "only the revoked are left": action.revoked in revoked}
    return [law for law, kept in laws.items() if not kept]


@settings(max_examples=150 * SCALE, deadline=None, derandomize=SCALE == 1)
@given(standings, releases, st.floats(0, 12))
def test_laws_of_all_decisions(standing, release, now_s):
    assert broken_laws(standing, release, now_s, decide(standing, release, now_s)) == []


@settings(max_examples=60 * SCALE, deadline=None, derandomize=SCALE == 1)
@given(standings, st.lists(releases, max_size=8))
def test_counters_only_grow_and_one_number_stays_one_bundle(standing, told):
    counter, bundle_of = 0, {}
    for release in told:
        action = decide(standing, release, 100.0)
        if refused(action) in ("older", "twofold"):
            continue
        standing = replace(standing, seen=seen_after(standing.seen, release))
        assert standing.seen.counter >= counter
        counter = standing.seen.counter
        assert bundle_of.setdefault(counter, standing.seen.bundle_sha256) == standing.seen.bundle_sha256


@pytest.mark.parametrize(
    "forgotten",
    [
        {"seen": None},
        {"refused": frozenset()},
        {"chip": "x"},
        {"version": "9"},
        {"resting": None},
        {"previous": C, "active": A},
    ],
)
def test_saboteurs_that_forget_one_thing_break_a_law(forgotten):
    """A device that does not look at one part of its standing is found out by the laws."""
    rng = random.Random(0)
    found: set[str] = set()
    for _ in range(3000):
        standing, release, now_s = drawn(rng)
        action = decide(replace(standing, **forgotten), release, now_s)
        found.update(broken_laws(standing, release, now_s, action))
    assert found


def test_the_same_draws_break_no_law_of_the_real_one():
    rng = random.Random(0)
    for _ in range(3000 * SCALE):
        standing, release, now_s = drawn(rng)
        assert broken_laws(standing, release, now_s, decide(standing, release, now_s)) == []


def drawn(rng: random.Random) -> tuple[Standing, Release, float]:
    seen = Seen(rng.randint(1, 4), rng.choice(BUNDLES)) if rng.random() < 0.7 else None
    resting = Resting(rng.choice(BUNDLES), rng.uniform(0, 10)) if rng.random() < 0.5 else None
    standing = Standing(
        rng.choice((None, *BUNDLES)),
        rng.choice((None, *BUNDLES)),
        frozenset(one for one in BUNDLES if rng.random() < 0.2),
        seen,
        rng.choice((None, "x", "y")),
        rng.choice(("0.1.0", "0.2.0")),
        resting,
    )
    release = replace(
        RELEASE,
        counter=rng.randint(1, 4),
        bundle_sha256=rng.choice(BUNDLES),
        bundle_bytes=rng.randint(1, 40),
        minimum_version=rng.choice(("0.1.0", "0.2.0")),
        chip=rng.choice((None, None, "x")),
        deltas=tuple(delta(rng.choice(BUNDLES), rng.randint(1, 40)) for _ in range(rng.randint(0, 2))),
        revoked=tuple(one for one in BUNDLES if rng.random() < 0.2),
    )
    return standing, release, rng.uniform(0, 12)
