"""A fit whose costs a meter measures elsewhere: its figures, its machine, and certificates that name this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import tiny
from shoestring.base.errors import BudgetError, EngineError, UsageError
from shoestring.bundle import open_bundle
from shoestring.chips.host import this_machine
from shoestring.costmodel.measure import Measured
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost, Machine
from shoestring.fitting import candidates, fit
from shoestring.fitting.recheck import recheck
from shoestring.runtimes import registry

AARCH64 = 183  # e_machine of the ELF specification
ARM = Machine("A test board", "aarch64", ("asimd",), 4, 4 << 30, "Linux")
VERSIONS = {"onnxruntime": registry.get("onnxruntime").version(), "native": "1"}


@dataclass
class FakeMeter:
    """Known costs, `slower` times those of this machine."""

    place: str = "pi@board"
    machine: Machine = ARM
    versions: Mapping[str, str] = field(default_factory=lambda: dict(VERSIONS))
    slower: float = 10.0
    asked: list[tuple[Measured, ...]] = field(default_factory=list)

    def measure(
        self,
        artefacts: Sequence[Measured],
        reference: str,
        threads: Sequence[int],
        *,
        seconds_each: float,
        progress: Callable[[str], None],
    ) -> dict[str, Cost]:
        self.asked.append(tuple(artefacts))
        progress("timing")
        known = [replace(one, name=one.name.removesuffix("@native")) for one in artefacts]
        costs = tiny.known_costs(known, reference, threads)
        return {one.name: self._slow(costs[name.name]) for one, name in zip(artefacts, known, strict=True)}

    def _slow(self, cost: Cost) -> Cost:
        timings = (
            replace(one, **{key: getattr(one, key) * self.slower for key in ("median_ms", "low_ms", "high_ms")})
            for one in cost.timings
        )
        return replace(cost, timings=tuple(timings))


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("costs were measured here")

    monkeypatch.setattr(candidates, "measure", refuse)


def test_costs_are_the_boards_and_certificates_this_machines(task: tiny.Task, warm: Path, nothing_here: None) -> None:
    fitted = fit(task.model, task.data, budget=Budget(max_drop=0.05), meter=FakeMeter(), cache=warm)
    every = [*(rung.candidate for rung in fitted.ladder.rungs), *(item.candidate for item in fitted.ladder.rejected)]
    cost = next(one.cost for one in every if one.name == "int8")
    assert [one.threads for one in cost.timings] == [1, 2, 4]
    assert cost.at(1).median_ms == pytest.approx(10 * tiny.KNOWN_MS["int8"])
    assert all(one.cost.predicted is None for one in every)
    assert fitted.evidence.measured_on == ARM and fitted.evidence.machine == this_machine()
    assert {one.certificate.isa for one in fitted.ladder.rungs if one.certificate} == {this_machine().isa}
    assert "measured on pi@board" in fitted.evidence.measurement
    assert fitted.ladder.cascade is None
    assert sum("replays the golden set" in note for note in fitted.notes) == 1


def test_the_bundle_holds_where_it_was_measured(task: tiny.Task, warm: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.shoe"
    fit(task.model, task.data, out=out, budget=Budget(max_drop=0.05), meter=FakeMeter(), cache=warm)
    with open_bundle(out) as bundle:
        assert bundle.evidence().measured_on == ARM
        assert recheck(bundle.manifest, bundle.evidence()) > 0
    here = tmp_path / "here.shoe"
    fit(task.model, task.data, out=here, budget=Budget(max_drop=0.05), cache=warm)
    with open_bundle(here) as bundle:
        assert bundle.evidence().measured_on is None
        assert b"measured_on" not in bundle.read(bundle.manifest.evidence)


def test_a_limit_is_held_against_the_boards_figures(task: tiny.Task, warm: Path) -> None:
    budget = Budget(latency_ms=5.0, threads=1)  # the fastest takes 0.9 ms here, 9 ms there
    assert fit(task.model, task.data, budget=budget, cache=warm).ladder.chosen
    with pytest.raises(BudgetError):
        fit(task.model, task.data, budget=budget, meter=FakeMeter(slower=10), cache=warm)


def test_figures_are_kept_for_one_board_alone(task: tiny.Task, warm: Path) -> None:
    meters = FakeMeter("a@a"), FakeMeter("a@a"), FakeMeter("b@b"), FakeMeter("a@a", replace(ARM, cores=2))
    for meter in meters:
        fit(task.model, task.data, budget=Budget(max_drop=0.05), meter=meter, cache=warm)
    assert [len(meter.asked) for meter in meters] == [1, 0, 1, 1]


def test_threads_may_be_as_many_as_the_board_has(task: tiny.Task, warm: Path) -> None:
    fit(task.model, task.data, budget=Budget(threads=4), meter=FakeMeter(), cache=warm)
    with pytest.raises(UsageError, match=r"1\.\.4"):
        fit(task.model, task.data, budget=Budget(threads=5), meter=FakeMeter(), cache=warm)


def test_another_version_of_the_runtime_there_is_told(task: tiny.Task, warm: Path) -> None:
    meter = FakeMeter(versions={"onnxruntime": "1.0.0"})
    fitted = fit(task.model, task.data, budget=Budget(max_drop=0.05), meter=meter, cache=warm)
    assert any("onnxruntime is 1.0.0 on pi@board" in note for note in fitted.notes)


def test_a_board_without_the_originals_runtime_is_refused(task: tiny.Task, warm: Path) -> None:
    with pytest.raises(UsageError, match="has no onnxruntime"):
        fit(task.model, task.data, meter=FakeMeter(versions={"native": "1"}), cache=warm)


def test_a_board_and_a_chip_are_too_much(task: tiny.Task, warm: Path) -> None:
    with pytest.raises(UsageError, match="not both"):
        fit(task.model, task.data, meter=FakeMeter(), chip="raspberry-pi-4b-4gb", cache=warm)


def test_an_error_there_ends_the_fit(task: tiny.Task, warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> dict[str, Cost]:
        raise EngineError("int8: no such operator")

    monkeypatch.setattr(FakeMeter, "measure", fail)
    with pytest.raises(EngineError, match="int8"):
        fit(task.model, task.data, budget=Budget(max_drop=0.05), meter=FakeMeter("new@board"), cache=warm)


def test_programs_are_measured_as_they_are_shipped(task: tiny.Task, warm: Path) -> None:
    pytest.importorskip("ziglang")
    meter = FakeMeter()
    fit(
        task.model,
        task.data,
        budget=Budget(max_drop=0.05),
        meter=meter,
        runtimes=("onnxruntime", "native"),
        cache=warm,
    )
    programs = [one for one in meter.asked[0] if one.runtime == "native"]
    assert programs
    assert {int.from_bytes(one.path.read_bytes()[18:20], "little") for one in programs} == {AARCH64}
