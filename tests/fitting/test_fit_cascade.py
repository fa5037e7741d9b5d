"""A fit with a student: the cascade is learnt, certified, stored, recomputed, and run exactly as it was certified."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from shoestring.base.canonical import decode, encode
from shoestring.base.errors import BundleError, GoldenError, ModelError, UsageError
from shoestring.bundle import open_bundle, recheck_counts
from shoestring.bundle.cascade_recheck import replay_cascade
from shoestring.cli.main import main
from shoestring.device import Player
from shoestring.device import player as player_module
from shoestring.domain.budget import Budget
from shoestring.domain.cascade import Cascade, identity
from shoestring.domain.manifest import Manifest
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate.dataset import open_dataset
from shoestring.fitting import Fitted, candidates, fit, mixing, readings
from shoestring.fitting.readings import Overhead
from shoestring.fitting.recheck import recheck
from shoestring.report import render
from students import STUDENT_SIZE, costs, write_student

BUDGET = Budget(max_drop=0.05)


@pytest.fixture(autouse=True)
def slow_costs(monkeypatch: pytest.MonkeyPatch, known_costs: None) -> None:
    monkeypatch.setattr(candidates, "measure", costs)
    monkeypatch.setattr(readings, "median_ms", lambda step: 0.25)


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cascade-cache")


@pytest.fixture(scope="session")
def climbing(task: tiny.Task, student: Path, cache: Path) -> Fitted:
    """The task fitted with the student: a cascade pays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "measure", costs)
        patch.setattr(mixing, "measure_layers", tiny.known_layer_times)
        patch.setattr(readings, "median_ms", lambda step: 0.25)
        return fit(task.model, task.data, budget=BUDGET, students=[student], runtimes=("onnxruntime",), cache=cache)


@pytest.fixture
def bundle(climbing: Fitted, tmp_path: Path) -> Path:
    climbing.save(tmp_path / "c.shoe")
    return tmp_path / "c.shoe"


def the(fitted: Fitted) -> Cascade:
    assert fitted.ladder.cascade is not None, fitted.notes
    return fitted.ladder.cascade


def with_cascade(manifest: Manifest, **changes: Any) -> Manifest:
    """The manifest with another cascade whose certificate speaks of it."""
    assert manifest.ladder.cascade is not None
    cascade = replace(manifest.ladder.cascade, **changes)
    certificate = replace(cascade.certificate, artefact_sha256=identity(cascade.measure, cascade.stages))
    return replace(manifest, ladder=replace(manifest.ladder, cascade=replace(cascade, certificate=certificate)))


def with_stage(manifest: Manifest, place: int, **changes: Any) -> Manifest:
    assert manifest.ladder.cascade is not None
    stages = list(manifest.ladder.cascade.stages)
    stages[place] = replace(stages[place], **changes)
    return with_cascade(manifest, stages=tuple(stages))


def test_the_cascade_is_cheaper_than_the_chosen_rung_and_says_so(climbing: Fitted) -> None:
    cascade, ladder = the(climbing), climbing.ladder
    chosen = ladder.rung(ladder.chosen)
    assert cascade.expected_ms < chosen.candidate.cost.at(chosen.threads).median_ms
    assert cascade.stages[0].rung.startswith("small:") and not cascade.stages[-1].rung.startswith("small:")
    assert cascade.certificate.p_value <= 0.05 and cascade.certificate.max_drop == 0.05
    assert sum(cascade.shares) == pytest.approx(1) and sum(cascade.shares_certification) == pytest.approx(1)
    assert cascade.worst_ms > cascade.expected_ms
    (note,) = (note for note in climbing.notes if note.startswith("cascade: "))
    assert all(stage.rung in note for stage in cascade.stages)


def test_students_are_paired_with_the_original_and_told_in_the_manifest(climbing: Fitted, student: Path) -> None:
    (told,) = climbing.manifest.students
    assert (told.name, told.input.name, told.output.name) == ("small", "pixels", "scores")
    assert (told.preprocess.height, told.preprocess.resize) == (STUDENT_SIZE, "stretch")
    names = {row["candidate"] for row in climbing.rows()}
    assert {"small:fp32", "small:int8", "fp32", "int8"} <= names
    original = climbing.manifest.ladder.rung("fp32").candidate.score.paired.original_hits
    whole = [one.candidate.score.paired for one in (*climbing.ladder.rejected, *climbing.ladder.rungs)]
    whole = [one for one in whole if one.n == climbing.manifest.ladder.rung("fp32").candidate.score.paired.n]
    assert whole and all(one.original_hits == original for one in whole)


def test_a_student_of_the_same_size_shares_the_input(task: tiny.Task, tmp_path: Path, cache: Path) -> None:
    """Its stage adds nothing but the question how sure it is."""
    student = write_student(tmp_path, size=tiny.SIZE, noise=0.4)
    fitted = fit(task.model, task.data, budget=BUDGET, students=[student], cache=cache)
    (told,) = fitted.manifest.students
    assert told.preprocess == fitted.manifest.preprocess
    cascade = the(fitted)
    assert cascade.stages[0].rung.startswith("small:") and cascade.stages[0].overhead_ms == 0.25
    assert recheck(fitted.manifest, fitted.evidence) >= 2


def test_certificates_are_recomputed_and_the_cascade_is_one_more(climbing: Fitted, bundle: Path) -> None:
    rungs = sum(rung.certificate is not None for rung in climbing.ladder.rungs)
    assert recheck(climbing.manifest, climbing.evidence) == rungs + 1
    with open_bundle(bundle) as opened:
        recheck_counts(opened)
        assert replace(opened.manifest, blobs=climbing.manifest.blobs) == climbing.manifest


def test_the_manifest_survives_its_own_encoding(climbing: Fitted) -> None:
    assert decode(encode(climbing.manifest), Manifest, ValueError) == climbing.manifest


def test_the_player_runs_exactly_what_was_certified(climbing: Fitted, bundle: Path, task: tiny.Task) -> None:
    """Every image of the certification split: the same stage answers, with the same class."""
    cascade, evidence = the(climbing), climbing.evidence
    dataset = open_dataset(task.data, label_names=climbing.manifest.labels)
    place_of = {sha256: place for place, sha256 in enumerate(dataset.hashes)}
    images = evidence.split("certification").images
    with open_bundle(bundle) as opened, Player(opened) as player:
        assert player.cascade == cascade and len(player.rungs) == len(cascade.stages)
        spec = climbing.manifest.preprocess
        answers = list(player.classify(dataset.pixels(place_of[sha256], spec) for sha256 in images))
    read = {stage.rung: evidence.reading(stage.rung, "certification") for stage in cascade.stages}
    for image, answer in enumerate(answers):
        assert answer.index == read[answer.rung].first[image]
        assert answer.rung == cascade.stages[answer.stages - 1].rung
    answered, _ = replay_cascade(evidence, cascade, "certification")
    counted = tuple(sum(answer.rung == stage.rung for answer in answers) for stage in cascade.stages)
    assert counted == answered and min(counted) > 0


def test_a_player_with_another_rule_is_seen_to_differ(
    climbing: Fitted, bundle: Path, task: tiny.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saboteur: a device that asks for more than the threshold does not run what was certified."""
    monkeypatch.setattr(player_module, "stands", lambda level, threshold: threshold is None or level > threshold + 2000)
    with pytest.raises(AssertionError):
        test_the_player_runs_exactly_what_was_certified(climbing, bundle, task)


def test_every_stage_is_replayed_before_anything_is_answered(climbing: Fitted) -> None:
    golden = climbing.manifest.golden
    stages = {stage.rung for stage in the(climbing).stages}
    assert stages <= golden.outputs.keys() == golden.tolerance.keys()


def test_a_stage_that_answers_otherwise_stops_the_cascade(climbing: Fitted, tmp_path: Path) -> None:
    """The golden outputs of two stages are exchanged: the first one is caught although the ladder's rungs are sound."""
    first, last = the(climbing).stages[0].rung, the(climbing).stages[-1].rung
    outputs = dict(climbing.manifest.golden.outputs)
    outputs[first], outputs[last] = outputs[last], outputs[first]
    tolerance = climbing.manifest.golden.tolerance | {first: 1e-9}
    golden = replace(climbing.manifest.golden, outputs=outputs, tolerance=tolerance)
    replace(climbing, manifest=replace(climbing.manifest, golden=golden)).save(tmp_path / "x.shoe")
    with open_bundle(tmp_path / "x.shoe") as opened, pytest.raises(GoldenError, match=first):
        Player(opened)


def test_a_rung_or_no_cascade_can_be_asked_for(climbing: Fitted, bundle: Path) -> None:
    with open_bundle(bundle) as opened:
        with Player(opened, cascade=False) as player:
            assert player.cascade is None and player.rung.name == climbing.ladder.chosen
        with Player(opened, rung="fp32") as player:
            assert player.cascade is None and player.rung.name == "fp32"
        with Player(opened, cascade=True) as player:
            assert player.cascade is not None
        with pytest.raises(UsageError, match="both the cascade and a rung"):
            Player(opened, cascade=True, rung="fp32")
        with pytest.raises(UsageError, match="there is no rung 'small:"):
            Player(opened, rung=the(climbing).stages[0].rung)


def test_a_bundle_without_one_has_none_to_run(task: tiny.Task, cache: Path, student: Path, tmp_path: Path) -> None:
    plain = fit(task.model, task.data, budget=BUDGET, students=[student], cascade=False, cache=cache)
    assert plain.ladder.cascade is None and not plain.evidence.readings
    plain.save(tmp_path / "plain.shoe")
    with open_bundle(tmp_path / "plain.shoe") as opened:
        with Player(opened) as player:
            assert player.cascade is None
        with pytest.raises(UsageError, match="has no cascade"):
            Player(opened, cascade=True)


@pytest.mark.parametrize("split", ["selection", "certification"])
def test_a_changed_level_is_refused(climbing: Fitted, split: str) -> None:
    cascade = the(climbing)
    name, measure = cascade.stages[0].rung, cascade.measure
    changed = tuple(
        replace(one, levels={**one.levels, measure: (0,) * len(one.first)})
        if (one.candidate, one.split) == (name, split)
        else one
        for one in climbing.evidence.readings
    )
    with pytest.raises(BundleError, match=f"images of the {split} split"):
        recheck(climbing.manifest, replace(climbing.evidence, readings=changed))


def test_a_changed_answer_is_refused(climbing: Fitted) -> None:
    last = the(climbing).stages[-1].rung
    changed = tuple(
        replace(one, first=tuple((label + 1) % 3 for label in one.first))
        if (one.candidate, one.split) == (last, "certification")
        else one
        for one in climbing.evidence.readings
    )
    with pytest.raises(BundleError, match="the cascade's answers give"):
        recheck(climbing.manifest, replace(climbing.evidence, readings=changed))


def test_readings_that_are_not_there_are_refused(climbing: Fitted) -> None:
    with pytest.raises(BundleError, match=r"how sure .* is not there"):
        recheck(climbing.manifest, replace(climbing.evidence, readings=()))


def test_a_smaller_margin_than_the_evidence_gives_is_refused(climbing: Fitted) -> None:
    cascade = the(climbing)
    for changes in ({"max_drop": 0.001}, {"p_value": 1e-12}):
        claimed = replace(cascade, certificate=replace(cascade.certificate, **changes))
        manifest = replace(climbing.manifest, ladder=replace(climbing.ladder, cascade=claimed))
        with pytest.raises(BundleError, match="certificate of the cascade says p = "):
            recheck(manifest, climbing.evidence)


@pytest.mark.parametrize(
    ("place", "changes", "words"),
    [
        (0, {"rung": "nobody"}, "is no candidate"),
        (0, {"threshold": None}, "every stage but the last needs one"),
        (-1, {"threshold": 5}, "every stage but the last needs one"),
        (0, {"threshold": -1}, "outside 0 to"),
        (0, {"artefact_sha256": "0" * 64}, "not that of its rung"),
        (0, {"threads": 99}, "at 99 threads, measured were"),
        (0, {"latency_ms": 0.001}, "measured were"),
        (0, {"overhead_ms": -1.0}, "not at least zero"),
        (0, {"answered": 0}, "images of the selection split"),
        (0, {"answered_certification": 1}, "images of the certification split"),
        (0, {"overhead_ms": 0.9}, "its stages give"),
    ],
)
def test_a_stage_that_breaks_a_rule_is_refused(
    climbing: Fitted, tmp_path: Path, place: int, changes: dict[str, Any], words: str
) -> None:
    broken = with_stage(climbing.manifest, place, **changes)
    with pytest.raises(BundleError, match=words):
        replace(climbing, manifest=broken).save(tmp_path / "x.shoe")


def test_a_cascade_that_breaks_a_rule_is_refused(climbing: Fitted, tmp_path: Path) -> None:
    stages = the(climbing).stages
    for changes, words in (
        ({"measure": "mood"}, "is not one of"),
        ({"stages": stages[:1]}, "has 1 stages"),
        ({"stages": (stages[0], stages[0])}, "runs a rung twice"),
        ({"expected_ms": 0.1}, "its stages give"),
    ):
        broken = with_cascade(climbing.manifest, **changes)
        with pytest.raises(BundleError, match=words):
            replace(climbing, manifest=broken).save(tmp_path / "x.shoe")


def test_a_threshold_that_the_certificate_does_not_speak_of_is_refused(climbing: Fitted, tmp_path: Path) -> None:
    """The saboteur: the threshold is lowered so that the cheap stage answers more, and the certificate is kept."""
    cascade = the(climbing)
    lower = (replace(cascade.stages[0], threshold=0), *cascade.stages[1:])
    broken = replace(climbing.manifest, ladder=replace(climbing.ladder, cascade=replace(cascade, stages=lower)))
    with pytest.raises(BundleError, match="speaks of another cascade"):
        replace(climbing, manifest=broken).save(tmp_path / "x.shoe")


def test_students_that_break_a_rule_are_refused(climbing: Fitted, tmp_path: Path) -> None:
    (told,) = climbing.manifest.students
    for students, words in (
        ((), "which is not there"),
        ((told, told), "is there twice"),
        ((replace(told, source_sha256="x"),), "64 lower-case"),
        ((replace(told, preprocess=replace(told.preprocess, colour="bgr")),), "its pixels come as the original's"),
        ((replace(told, preprocess=replace(told.preprocess, height=9)),), "the pre-processing gives"),
    ):
        with pytest.raises(BundleError, match=words):
            replace(climbing, manifest=replace(climbing.manifest, students=students)).save(tmp_path / "x.shoe")


def test_a_cascade_that_does_not_pay_is_not_kept_and_the_reason_has_numbers(
    task: tiny.Task, student: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking how sure takes longer than the rungs themselves."""
    monkeypatch.setattr("shoestring.fitting.cascades.overhead", lambda *_: Overhead(0.0, 100.0))
    fitted = fit(task.model, task.data, budget=BUDGET, students=[student], cache=cache)
    assert fitted.ladder.cascade is None and not fitted.evidence.readings
    (note,) = (note for note in fitted.notes if "does not pay" in note)
    assert " ms" in note


def test_without_a_margin_no_cascade_is_tried(task: tiny.Task, student: Path, cache: Path) -> None:
    fitted = fit(task.model, task.data, students=[student], cache=cache)
    assert fitted.ladder.cascade is None
    assert any("no cascade was tried" in note for note in fitted.notes)


@pytest.mark.parametrize("limits", [{"latency_ms": 41.5}, {"size_bytes": 60_000}, {"memory_bytes": 120_000_000}])
def test_all_stages_together_keep_the_budget(
    task: tiny.Task, student: Path, cache: Path, limits: dict[str, Any]
) -> None:
    fitted = fit(task.model, task.data, budget=replace(BUDGET, **limits), students=[student], cache=cache)
    cascade = fitted.ladder.cascade
    if cascade is None:
        assert any("does not pay" in note for note in fitted.notes)
        return
    costs_of = {rung.name: rung.candidate.cost for rung in fitted.ladder.runnable}
    stages = [costs_of[stage.rung] for stage in cascade.stages]
    assert sum(stage.latency_ms for stage in cascade.stages) <= limits.get("latency_ms", 1e9)
    assert sum(cost.size_bytes for cost in stages) <= limits.get("size_bytes", 10**12)
    assert sum(cost.peak_rss_bytes for cost in stages) <= limits.get("memory_bytes", 10**12)


def test_agreement_is_certified_for_cascades_as_well(task: tiny.Task, student: Path, cache: Path) -> None:
    spec = Preprocess(tiny.SIZE, tiny.SIZE, resize="none")
    fitted = fit(task.model, task.wild, budget=BUDGET, preprocess=spec, students=[student], cache=cache)
    cascade = the(fitted)
    assert cascade.certificate.metric == "agreement" and cascade.certificate.paired.wins == 0
    assert recheck(fitted.manifest, fitted.evidence) >= 2


def test_students_that_do_not_fit_are_refused_by_name(task: tiny.Task, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(UsageError, match=r"is the same file as tiny\.onnx"):
        fit(task.model, task.data, students=[task.model], cache=cache)
    two = tiny.make_model({**tiny.make_weights(), "head.w": np.ones((32, 2), np.float32), "head.b": np.ones(2, "f4")})
    two.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    (tmp_path / "two.onnx").write_bytes(two.SerializeToString())
    with pytest.raises(ModelError, match=r"two.onnx tells 2 classes apart, the original 3"):
        fit(task.model, task.data, students=[tmp_path / "two.onnx"], cache=cache)
    with pytest.raises(UsageError, match="the limit is 8"):
        fit(task.model, task.data, students=[tmp_path / "two.onnx"] * 9, cache=cache)


def test_two_students_of_one_name_get_two_names(task: tiny.Task, student: Path, tmp_path: Path, cache: Path) -> None:
    other = write_student(tmp_path, size=14)
    fitted = fit(task.model, task.data, budget=BUDGET, students=[student, other], cascade=False, cache=cache)
    assert [one.name for one in fitted.manifest.students] == ["small", "small-2"]


def test_the_command_line_shows_stages_and_who_answered(
    bundle: Path, task: tiny.Task, climbing: Fitted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "stage of the cascade" in said and "an image on average" in said
    images = [str(path) for path in sorted((task.data / "red").iterdir())[:12]]
    assert main(["run", str(bundle), *images]) == 0
    said_run = capsys.readouterr()
    assert said_run.out.count(" [") == 12 and "cascade small:" in said_run.err and "answered by: " in said_run.err
    assert main(["run", str(bundle), *images, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["cascade"] == [stage.rung for stage in the(climbing).stages]
    assert {answer["stages"] for answer in data["answers"]} <= {1, 2, 3}
    assert main(["run", str(bundle), *images, "--no-cascade", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["cascade"] is None and {answer["rung"] for answer in data["answers"]} == {climbing.ladder.chosen}
    assert main(["run", str(bundle), *images, "--cascade", "--rung", "fp32"]) == 2


def test_fit_takes_students_on_the_command_line(
    task: tiny.Task, student: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(task.model), "--data", str(task.data), "--student", str(student), "--cache", str(cache)]
    assert main([*words, "--max-drop", "5pt", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    shares = [stage["share_selection"] for stage in data["cascade"]["stages"]]
    assert sum(shares) == pytest.approx(1) and data["cascade"]["expected_ms"] > 0
    assert main([*words, "--max-drop", "5pt", "--no-cascade", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cascade"] is None


def test_the_page_shows_stages_shares_and_thresholds(climbing: Fitted) -> None:
    page = render(climbing.manifest, climbing.evidence)
    cascade = the(climbing)
    assert "The cascade" in page and all(stage.rung in page for stage in cascade.stages)
    assert f"{100 * cascade.shares[0]:.2f}" in page
