"""A fit for a chip that is not at hand: estimates that say so, limits held against intervals, no claim never ranked."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tiny
from shoestring.base.errors import BudgetError, BundleError, DataError, UsageError
from shoestring.bundle import open_bundle
from shoestring.bundle.ladder_rules import check_ladder
from shoestring.chips.rows import read_rows
from shoestring.costmodel.latency import runtimes
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.fitting import Fitted, elsewhere, fit, racing
from shoestring.fitting.recheck import recheck
from shoestring.report import render
from shoestring.search.admit import MAY_MEET, over_budget

if TYPE_CHECKING:
    from collections.abc import Callable

AARCH64 = 183  # e_machine of the ELF specification
PI = "raspberry-pi-4b-4gb"
THERE_MS = {"fp32": 40.0, "int8": 10.0}
"""At one thread; `known_latency` divides by the count. The interval is a fifth wide each way."""

Fit = Callable[..., Fitted] if TYPE_CHECKING else Any


def known_latency(_: Any, __: Any, runtime: str, precision: str, threads: int) -> Estimate:
    value = THERE_MS[precision] / threads
    return Estimate(value, 0.8 * value, 1.2 * value, "ms", "calibrated", (f"{runtime} on a test",), "batch 1")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "predict_latency", known_latency)
    monkeypatch.setattr(elsewhere, "_known", lambda *_: True)
    monkeypatch.setattr(racing, "unsound", lambda *_: None)  # whatever processor the tests run on


@pytest.fixture
def fit_there(task: tiny.Task, warm: Path, there: None) -> Fit:
    def run(**budget: Any) -> Fitted:
        limits = {"max_drop": 0.05, "threads": 1, **budget}
        return fit(task.model, task.data, budget=Budget(**limits), chip=PI, cache=warm)

    return run


def cost_of(fitted: Fitted, name: str) -> Cost:
    rungs = [rung.candidate for rung in fitted.ladder.rungs]
    found = next(one for one in [*rungs, *(item.candidate for item in fitted.ladder.rejected)] if one.name == name)
    return found.cost


def test_every_cost_is_an_estimate_and_says_for_which_chip(fit_there: Fit) -> None:
    fitted = fit_there()
    for row in fitted.rows():
        assert row["estimate"].chip == PI
        assert row["latency_low_ms"] < row["latency_ms"] < row["latency_high_ms"]
    plain = cost_of(fitted, "int8")
    assert plain.at(1).median_ms == THERE_MS["int8"]
    assert [timing.threads for timing in plain.timings] == [1, 2, 4]
    assert {timing.runs for timing in plain.timings} == {0}
    assert cost_of(fitted, "int8").at(1).ratio_to_original == pytest.approx(0.25)
    assert "estimates for" in fitted.evidence.measurement
    assert any("nothing was measured there" in note for note in fitted.notes)
    assert any("replays the golden set" in note for note in fitted.notes)


def test_what_was_measured_here_tells_candidates_of_one_precision_apart(fit_there: Fit) -> None:
    """int8-float1 takes twice as long as int8 here, so it is predicted to take twice as long there, less surely."""
    fitted = fit_there()
    timing = cost_of(fitted, "int8-float1").at(1)
    assert timing.median_ms == pytest.approx(2 * THERE_MS["int8"])
    assert timing.high_ms / timing.median_ms == pytest.approx(1.2 * math.sqrt(2))
    predicted = cost_of(fitted, "int8-float1").predicted
    assert predicted is not None
    assert "measured on this machine" in predicted.widened[-1]


def test_certificates_are_of_this_machine_and_can_be_recomputed(fit_there: Fit, tmp_path: Path) -> None:
    fitted = fit_there()
    rung = fitted.ladder.rung(fitted.ladder.chosen)
    assert rung.certificate is not None
    assert rung.certificate.isa == fitted.evidence.machine.isa
    path = tmp_path / "there.shoe"
    fitted.save(path)
    with open_bundle(path) as bundle:
        assert bundle.manifest.ladder == fitted.ladder
        assert recheck(bundle.manifest, bundle.evidence()) > 0
    page = render(fitted.manifest, fitted.evidence)
    assert f"estimates for {PI}" in page
    assert "~10.0" in page
    assert "10–90 %" not in page


def test_a_limit_is_kept_by_the_upper_end_alone(fit_there: Fit) -> None:
    """int8 is predicted to take 10 ms (8 to 12)."""
    assert fit_there(latency_ms=12.5).ladder.chosen == "int8"
    with pytest.raises(BudgetError) as caught:
        fit_there(latency_ms=11.0)
    reasons = {row["candidate"]: row["reason"] for row in caught.value.rows}
    assert reasons["int8"].startswith(MAY_MEET)
    assert "8 ms to 12 ms, estimate" in reasons["int8"]
    assert "is above the budget" in reasons["fp32"] and not reasons["fp32"].startswith(MAY_MEET)
    # A measured cost of the same middle would have kept it: the interval is what decides.
    cost = replace(cost_of(fit_there(), "int8"), predicted=None)
    assert over_budget(cost, Budget(latency_ms=11.0, threads=1)) is None


def test_what_has_no_claim_is_named_and_never_ranked(fit_there: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_floats(*given: Any) -> Estimate | NoClaim:
        return NoClaim("nobody measured int8 there") if given[3] == "int8" else known_latency(*given)

    monkeypatch.setattr(elsewhere, "predict_latency", only_floats)
    fitted = fit_there()
    assert not [row for row in fitted.rows() if row["precision"].startswith("int8")]
    (said,) = [note for note in fitted.notes if note.startswith("no claim")]
    assert "int8" in said and "nobody measured int8 there" in said
    monkeypatch.setattr(elsewhere, "predict_latency", lambda *_: NoClaim("nothing at all"))
    with pytest.raises(UsageError, match="nothing at all"):
        fit_there()


def test_a_bundle_cannot_pass_an_estimate_off_as_measured(fit_there: Fit) -> None:
    ladder = fit_there().ladder
    rung = ladder.rungs[0]
    cost = rung.candidate.cost

    def check(changed: Cost) -> None:
        candidate = replace(rung.candidate, cost=changed)
        check_ladder(replace(ladder, rungs=(replace(rung, candidate=candidate), *ladder.rungs[1:])))

    check(cost)
    with pytest.raises(BundleError, match="0 runs"):
        check(replace(cost, predicted=None))
    assert cost.predicted is not None
    with pytest.raises(BundleError, match="claims 7 timed runs"):
        check(replace(cost, timings=tuple(replace(one, runs=7) for one in cost.timings)))
    with pytest.raises(BundleError, match="ground 'guess'"):
        check(replace(cost, predicted=replace(cost.predicted, ground="guess")))
    with pytest.raises(BundleError, match="bytes of memory between"):
        check(replace(cost, predicted=replace(cost.predicted, memory_high_bytes=1)))


def test_a_measured_bundle_holds_no_word_of_estimates(fitted: Fitted, tmp_path: Path) -> None:
    """So that bundles from before estimates stay bundles."""
    path = tmp_path / "here.shoe"
    fitted.save(path)
    with open_bundle(path) as bundle:
        assert bundle.manifest.ladder.rungs[0].candidate.cost.predicted is None
    from shoestring.base.canonical import encode

    assert b"predicted" not in encode(fitted.manifest)


def test_a_runtime_nobody_measured_there_gets_a_wide_interval(tmp_path: Path) -> None:
    known = elsewhere.find(PI, None, None)
    network = replace(next(iter(elsewhere.published_networks().values())), name="of the user's")
    stood_in = elsewhere.predict_latency(known, network, "onnxruntime", "int8", 1)
    asked = elsewhere.predict_latency(known, network, "ncnn", "int8", 1)
    assert isinstance(stood_in, Estimate) and isinstance(asked, Estimate)
    assert stood_in.ground == "transfer"
    assert stood_in.high / stood_in.value >= runtimes.spread() > 1.3
    assert stood_in.high / stood_in.value > asked.high / asked.value
    assert "tuned runtimes lie up to" in stood_in.widened[-1]
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "chip,model,input,runtime,precision,threads,latency_ms\n"
        f"rpi4b,{network.name},{network.input},onnxruntime,int8,1,77.5\n"
    )
    measured = elsewhere.predict_latency(elsewhere.find(PI, None, rows), network, "onnxruntime", "int8", 1)
    assert isinstance(measured, Estimate)
    assert measured.value == pytest.approx(77.5)
    assert measured.ground == "measured"


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="no compiler for other machines")
def test_a_program_is_compiled_for_the_chip_and_tried_here(
    task: tiny.Task, warm: Path, there: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("fp32", "int8", "int8-float1"):
        monkeypatch.setitem(tiny.KNOWN_MS, f"{name}@native", tiny.KNOWN_MS[name] / 2)
        monkeypatch.setitem(tiny.KNOWN_RSS_BYTES, f"{name}@native", 40_000_000)
    budget = Budget(max_drop=0.05, threads=4)
    both = ("onnxruntime", "native")
    path = tmp_path / "pi.shoe"
    fitted = fit(task.model, task.data, out=path, budget=budget, chip=PI, runtimes=both, cache=warm)
    programs = [rung for rung in fitted.ladder.rungs if rung.candidate.runtime == "native"]
    assert programs
    for rung in programs:
        assert rung.certificate is not None
        blob = fitted.blobs[rung.certificate.artefact_sha256]
        assert isinstance(blob, Path)
        assert int.from_bytes(blob.read_bytes()[18:20], "little") == AARCH64, "the bundle holds the chip's program"
        assert rung.candidate.cost.size_bytes == blob.stat().st_size
    with open_bundle(path) as bundle:
        assert recheck(bundle.manifest, bundle.evidence()) >= len(programs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chip,model,input,runtime\nx,y,z,w\n", "lacks the column 'precision'"),
        ("chip,model,input,runtime,precision\nx,y,z,w,int8\n", "lacks the column 'latency_ms'"),
        ("chip,model,input,runtime,precision,latency_ms,odd\nx,y,z,w,int8,1,2\n", "unknown column 'odd'"),
        ("chip,model,input,runtime,precision,latency_ms\nx,y,z,w,int8,-1\n", "line 2: latency_ms is '-1'"),
        ("chip,model,input,runtime,precision,latency_ms\nx,y,z,w,int8,nan\n", "line 2: latency_ms is 'nan'"),
        ("chip,model,input,runtime,precision,latency_ms\nx,,z,w,int8,1\n", "line 2: model is empty"),
        ("chip,model,input,runtime,precision,latency_ms\nx,y\n", "line 2: not as many cells"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_by_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_rows(path)


def test_bad_chips(task: tiny.Task, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not in the catalogue") as caught:
        fit(task.model, task.data, chip="raspbery-pi-4b-4gb", cache=tmp_path)
    assert PI in (caught.value.hint or "")
    with pytest.raises(UsageError, match="no processor"):
        fit(task.model, task.data, chip="esp32-s3", cache=tmp_path)
    with pytest.raises(UsageError, match="say nothing about this-machine"):
        fit(task.model, task.data, rows=tmp_path / "rows.csv", cache=tmp_path)
    with pytest.raises(UsageError, match="the cores of the chip, got 5"):
        fit(task.model, task.data, chip=PI, budget=Budget(threads=5), cache=tmp_path)
