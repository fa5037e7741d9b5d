"""Rungs for accelerators that are not at hand: offered with what can be said, refused where they claim more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

import tiny
from coral_compiler import install
from shoestring.base.errors import BundleError, GoldenError
from shoestring.bundle import open_bundle
from shoestring.bundle.ladder_rules import check_ladder
from shoestring.bundle.recheck import recheck_counts
from shoestring.compress.graph import Graph
from shoestring.device.choose import choose_rung
from shoestring.device.golden import golden_inputs, golden_outputs, replay
from shoestring.device.player import Player
from shoestring.domain.budget import Budget
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.ladder import Offered
from shoestring.fitting import Fitted, accelerator_costs, accelerators, candidates, elsewhere, fit, mixing
from shoestring.fitting.outcome import ladder_rows
from shoestring.fitting.recheck import recheck
from shoestring.legalise import asked_target, plan
from shoestring.report import render
from shoestring.runtimes import registry

CORAL, NANO = "coral-dev-board", "jetson-nano-4gb"


THERE_MS = {"fp32": 40.0, "int8": 10.0}


def known_latency(_: Any, __: Any, runtime: str, precision: str, threads: int) -> Estimate:
    value = THERE_MS[precision] / threads
    return Estimate(value, 0.8 * value, 1.2 * value, "ms", "calibrated", (f"{runtime} on a test",), "batch 1")


def fit_for(chip: str, task: tiny.Task, warm: Path) -> Fitted:
    budget = Budget(max_drop=0.05, threads=1)
    return fit(task.model, task.data, budget=budget, chip=chip, runtimes=("onnxruntime",), cache=warm)


def predicted(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Costs that are known, and no compiler of the Edge TPU."""
    patch.setattr(candidates, "measure", tiny.known_costs)
    patch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    patch.setattr(elsewhere, "predict_latency", known_latency)
    patch.setattr(elsewhere, "_known", lambda *_: True)
    patch.setenv("PATH", str(folder / "no-compiler"))


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    predicted(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def coral(task: tiny.Task, warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    pytest.importorskip("ai_edge_litert", reason="LiteRT stands in for the Edge TPU")
    with pytest.MonkeyPatch.context() as patch:
        predicted(patch, tmp_path_factory.mktemp("coral"))
        return fit_for(CORAL, task, warm)


@pytest.fixture(scope="module")
def nano(task: tiny.Task, warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    with pytest.MonkeyPatch.context() as patch:
        predicted(patch, tmp_path_factory.mktemp("nano"))
        return fit_for(NANO, task, warm)


def only(fitted: Fitted) -> Offered:
    (offered,) = fitted.ladder.offered or ()
    return offered


def stored(fitted: Fitted, sha256: str) -> bytes:
    blob = fitted.blobs[sha256]
    return blob if isinstance(blob, bytes) else blob.read_bytes()


def test_coral_gets_full_integer_tflite(coral: Fitted, tmp_path: Path) -> None:
    fitted = coral
    one = only(fitted)
    candidate = one.rung.candidate
    assert one.name == "int8@edgetpu" and one.rung.certificate is None and one.stand_in.startswith("litert ")
    assert "LiteRT on a processor" in one.why and "still to be compiled" in one.why
    assert candidate.cost.predicted is not None and candidate.cost.predicted.chip == CORAL
    assert candidate.cost.timings[0].runs == 0
    assert stored(fitted, candidate.artefact_sha256)[4:8] == b"TFL3"
    assert fitted.ladder.chosen != one.name and any("not measured here" in note for note in fitted.notes)
    status = {row["candidate"]: (row["status"], row["reason"]) for row in fitted.rows()}
    assert status[one.name][0] == "offered" and "not measured here, not certified" in status[one.name][1]
    bundle = tmp_path / "coral.shoe"
    fitted.save(bundle)
    with open_bundle(bundle) as opened:
        recheck_counts(opened)
        assert recheck(opened.manifest, opened.evidence()) == sum(
            rung.certificate is not None for rung in fitted.ladder.rungs
        )
        assert choose_rung(opened.manifest.ladder, name=None, threads=None, latency_ms=None).name != one.name
        assert choose_rung(opened.manifest.ladder, name=one.name, threads=None, latency_ms=None) == one.rung


def test_its_scores_are_those_of_litert_on_the_same_images(coral: Fitted) -> None:
    fitted = coral
    one = only(fitted)
    trace = fitted.evidence.trace(one.name, "selection")
    hits = sum(top[0] == label for top, label in zip(trace.top, fitted.evidence.split("selection").labels, strict=True))
    score = one.rung.candidate.score
    assert score.paired.variant_hits == hits and score.paired.n == len(trace.top) and score.value > 0.8


def test_the_golden_set_decides_on_the_device(coral: Fitted, tmp_path: Path) -> None:
    bundle = tmp_path / "coral.shoe"
    coral.save(bundle)
    with open_bundle(bundle) as opened:
        name = "int8@edgetpu"
        with Player(opened, rung=name, runtime=registry.get("litert")) as player:
            assert player.rung.name == name
        rung = opened.manifest.ladder.rung(name)
        inputs = golden_inputs(opened)
        expected = golden_outputs(opened, rung, len(inputs))
        # A chip that answers otherwise is caught, and the message says who answered here.
        with pytest.raises(GoldenError, match=r"litert .* answered in the place of edgetpu"):
            replay(opened, rung, lambda _: expected[0][::-1] + 9, lambda: "edgetpu 16", inputs, expected)


def test_the_nano_gets_a_model_for_tensorrt(nano: Fitted, tmp_path: Path) -> None:
    fitted = nano
    one = only(fitted)
    assert one.name == "fp16@tensorrt" and one.stand_in.startswith("onnxruntime ")
    assert "trtexec" in one.why and "fp16" in one.why and one.rung.candidate.runtime_version == "8.2"
    made = Graph(onnx.ModelProto.FromString(stored(fitted, one.rung.candidate.artefact_sha256)))
    assert made.opset == 13 and not plan(made, asked_target(elsewhere.chip_named(NANO))).refused
    cost = one.rung.candidate.cost.predicted
    assert cost is not None and cost.ground == "specifications"
    assert any("judgement" in words for words in cost.rests_on)
    bundle = tmp_path / "nano.shoe"
    fitted.save(bundle)
    with open_bundle(bundle) as opened:
        recheck_counts(opened)
        with Player(opened, rung=one.name, runtime=registry.get("onnxruntime")) as player:
            assert player.rung.name == one.name, "the shipped fp32 form keeps the tolerance of its fp16 stand-in"


def test_the_compiler_is_called_where_it_is_installed(
    task: tiny.Task, warm: Path, there: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert", reason="LiteRT stands in for the Edge TPU")
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin").parent))
    one = only(fit_for(CORAL, task, warm))
    assert "mapped 3 of 36 operators" in one.why and "still to be compiled" not in one.why


def test_what_would_stay_on_the_processor_is_no_rung_but_a_note(
    task: tiny.Task, warm: Path, there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saboteur: a list without Gemm; the forecast must not be of a whole model."""
    from shoestring.chips import operators

    listed = operators.operator_set("edge-tpu")
    short = replace(listed, operators=tuple(name for name in listed.operators if name != "Gemm"))
    monkeypatch.setattr("shoestring.legalise.target.operator_set", lambda name: short)
    fitted = fit_for(CORAL, task, warm)
    assert fitted.ladder.offered is None
    assert any("no rung for the Edge TPU: 1 operators stay on the processor" in note for note in fitted.notes)


def test_without_a_claim_there_is_no_rung(
    task: tiny.Task, warm: Path, there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator_costs, "predict_accelerator", lambda *_, **__: NoClaim("nothing known"))
    fitted = fit_for(NANO, task, warm)
    assert fitted.ladder.offered is None and any("no cost is claimed: nothing known" in note for note in fitted.notes)


@pytest.mark.parametrize("chip", ["orange-pi-5-8gb"])
def test_other_chips_are_left_as_they_are(chip: str, task: tiny.Task, warm: Path, there: None) -> None:
    assert fit_for(chip, task, warm).ladder.offered is None


def test_a_fit_for_this_machine_is_left_as_it_is(fitted: Fitted) -> None:
    assert fitted.ladder.offered is None and accelerators.extend(fitted, None, None, {}) is fitted


def test_offers_that_claim_more_are_refused(nano: Fitted) -> None:
    fitted = nano
    ladder, one = fitted.ladder, only(fitted)
    certificate = next(rung.certificate for rung in ladder.rungs if rung.certificate is not None)
    timings = tuple(replace(timing, runs=9) for timing in one.rung.candidate.cost.timings)
    measured = replace(one.rung.candidate.cost, predicted=None, timings=timings)
    claims: dict[str, tuple[Any, ...]] = {
        "has a certificate": (replace(one, rung=replace(one.rung, certificate=certificate)),),
        "measured cost": (replace(one, rung=replace(one.rung, candidate=replace(one.rung.candidate, cost=measured))),),
        "stand-in": (replace(one, stand_in=""),),
        "reason": (replace(one, why=b"a\\x1b[2Jb".decode("unicode_escape")),),
        "two candidates": (one, one),
        "there are none": (),
    }
    check_ladder(ladder)
    for words, offered in claims.items():
        with pytest.raises(BundleError, match=words):
            check_ladder(replace(ladder, offered=offered))


def test_rows_show_offers_at_their_own_threads(nano: Fitted) -> None:
    fitted = nano
    rows = ladder_rows(fitted.ladder, Budget(threads=4))
    assert next(row for row in rows if row["status"] == "offered")["threads"] == 1


def test_the_report_names_offers_and_that_nothing_was_measured(nano: Fitted, fitted: Fitted) -> None:
    page = render(nano.manifest, nano.evidence)
    assert "Offered for an accelerator" in page and "fp16@tensorrt" in page and "not certified" in page
    assert "Offered for an accelerator" not in render(fitted.manifest, fitted.evidence)


def test_bundles_without_offers_have_the_bytes_they_had(fitted: Fitted) -> None:
    from shoestring.base.canonical import encode

    assert b"offered" not in encode(fitted.manifest)
