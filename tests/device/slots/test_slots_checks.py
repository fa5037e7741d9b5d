"""What speaks against a bundle, check by check."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from factory import make_hash, make_machine, make_manifest
from shoestring.base.errors import SlotError, UsageError
from shoestring.chips.loading import chip_named
from shoestring.device.slots.checks import check_chip, check_counter, check_runtimes, check_version
from shoestring.domain.cost import Predicted
from shoestring.domain.release import RELEASE_FORMAT, Release

if TYPE_CHECKING:
    from shoestring.domain.ladder import Ladder

LADDER = make_manifest().ladder
PI = "raspberry-pi-5-8gb"
BOARD = replace(make_machine(), name="a board", isa=chip_named(PI).isa)
PC = replace(make_machine(), name="a PC", isa=("avx2", "fma"))


def release_for(chip: str | None) -> Release:
    return Release(RELEASE_FORMAT, "porch", 1, "cam", make_hash("x"), 1, 0, "0.1.0", chip, (), ())


def predicted_for(chip: str) -> Ladder:
    said = Predicted(chip, "rows", ("words",), (), 0.9, 1, 2)
    rungs = tuple(
        replace(rung, candidate=replace(rung.candidate, cost=replace(rung.candidate.cost, predicted=said)))
        for rung in LADDER.rungs
    )
    return replace(LADDER, rungs=rungs)


def test_counters_never_fall() -> None:
    check_counter(5, 5)
    check_counter(6, 5)
    with pytest.raises(SlotError, match="the counter 4, and one with 5") as caught:
        check_counter(4, 5)
    assert caught.value.reason == "revoked"


@pytest.mark.parametrize(("minimum", "ours"), [("0.1.0", "0.1.0"), ("0.9.9", "0.10.0"), ("1.2.3", "2.0.0.dev1")])
def test_a_newer_version_runs_it(minimum: str, ours: str) -> None:
    check_version(minimum, ours)


@pytest.mark.parametrize(
    ("minimum", "ours"), [("0.10.0", "0.9.9"), ("1.0.0", "0.9.0"), ("next", "1.0.0"), ("1", "1.0.0")]
)
def test_an_older_version_does_not(minimum: str, ours: str) -> None:
    with pytest.raises(SlotError) as caught:
        check_version(minimum, ours)
    assert caught.value.reason == "version"


def test_any_board_takes_what_is_made_for_any() -> None:
    check_chip(LADDER, None, None, None, PC)
    check_chip(LADDER, release_for(None), PI, None, BOARD)
    check_chip(LADDER, release_for(PI), PI, None, BOARD)
    check_chip(predicted_for(PI), None, PI, None, BOARD)
    check_chip(predicted_for(PI), None, None, None, BOARD)
    check_chip(predicted_for("a board of the workshop"), None, None, None, PC)


@pytest.mark.parametrize(
    ("ladder", "release", "chip", "machine", "words"),
    [
        (LADDER, release_for(PI), None, BOARD, "nobody said what this board is"),
        (LADDER, release_for("coral-dev-board"), PI, BOARD, "is for coral-dev-board, this is a raspberry"),
        (predicted_for("raspberry-pi-4b-4gb"), None, PI, BOARD, "made for raspberry-pi-4b-4gb, this is"),
        (predicted_for(PI), None, None, PC, "made for raspberry-pi-5-8gb, and this processor .a PC. lacks asimd"),
        (LADDER, None, PI, PC, "said to be a raspberry-pi-5-8gb, and this processor"),
    ],
)
def test_another_board_does_not(ladder, release, chip, machine, words) -> None:
    with pytest.raises(SlotError, match=words) as caught:
        check_chip(ladder, release, chip, None, machine)
    assert caught.value.reason == "chip"


def test_a_chip_of_nobody_is_a_wrong_flag() -> None:
    with pytest.raises(UsageError):
        check_chip(LADDER, None, "toaster", None, PC)


def test_rungs_without_their_runtime_are_named() -> None:
    other = LADDER.rungs[-1]
    assert other.name != LADDER.chosen
    away = replace(other, candidate=replace(other.candidate, runtime="litert"))
    ladder = replace(LADDER, rungs=(*LADDER.rungs[:-1], away))
    assert check_runtimes(ladder, ("onnxruntime",)) == (away.name,)
    assert check_runtimes(ladder, ("onnxruntime", "litert")) == ()


def test_the_chosen_rung_needs_its_runtime() -> None:
    with pytest.raises(SlotError, match="needs the runtime onnxruntime") as caught:
        check_runtimes(LADDER, ("native",))
    assert caught.value.reason == "runtime"
