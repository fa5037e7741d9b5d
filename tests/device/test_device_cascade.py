"""Three stages on a device: each image stops where the rule of the certificate says, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory import BundleParts, make_bundle_parts, make_images, make_preprocess, run_onnx, swap_blob
from shoestring.base import canonical
from shoestring.base.errors import BundleError, UsageError
from shoestring.base.sureness import MEASURES, sureness
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.bundle.cascade_recheck import replay_cascade
from shoestring.bundle.evidence_rules import check_evidence
from shoestring.device import Player
from shoestring.device.supervise import Care, DirectEngine, SupervisedEngine
from shoestring.device.supervise.nouns import CASCADE
from shoestring.device.supervise.supervised import choose
from shoestring.domain.cascade import RUNTIME, Cascade, Stage, identity, mean_ms, stands
from shoestring.domain.evidence import Evidence, Reading
from shoestring.domain.ladder import Rejected
from shoestring.domain.score import Certificate
from shoestring.evaluate.cascade import Runner, outcome

NAMES = ("int8", "int8-float3", "fp32")
MEASURE = "margin"
IMAGES = make_images(60, seed=7)


def with_readings(evidence: Evidence, seed: int = 5) -> Evidence:
    """Random levels beside the first classes of the traces."""
    rng = np.random.default_rng(seed)
    readings = []
    for split in ("selection", "certification"):
        for name in NAMES:
            first = tuple(top[0] for top in evidence.trace(name, split).top)
            levels = {measure: tuple(rng.integers(0, 10_001, len(first)).tolist()) for measure in MEASURES}
            readings.append(Reading(name, split, first, levels))
    return replace(evidence, readings=tuple(readings))


def make_cascade(parts: BundleParts, evidence: Evidence, thresholds: tuple[int, int]) -> Cascade:
    """Sound in every figure that can be recomputed without a p-value."""
    rungs = {rung.name: rung for rung in parts.manifest.ladder.rungs}
    given = rungs["int8"].certificate
    assert isinstance(given, Certificate)
    stages = tuple(
        Stage(
            rung=name,
            artefact_sha256=rungs[name].candidate.artefact_sha256,
            threads=1,
            threshold=threshold,
            probabilities=False,
            latency_ms=rungs[name].candidate.cost.at(1).median_ms,
            overhead_ms=0.01,
            answered=0,
            answered_certification=0,
        )
        for name, threshold in zip(NAMES, (*thresholds, None), strict=True)
    )
    bare = Cascade(MEASURE, stages, 0.0, given)
    chosen, _ = replay_cascade(evidence, bare, "selection")
    certified, paired = replay_cascade(evidence, bare, "certification")
    stages = tuple(
        replace(stage, answered=a, answered_certification=b)
        for stage, a, b in zip(stages, chosen, certified, strict=True)
    )
    certificate = replace(
        given, paired=paired, runtime=RUNTIME, runtime_version="1", artefact_sha256=identity(MEASURE, stages)
    )
    return Cascade(MEASURE, stages, mean_ms(stages, chosen), certificate)


def outputs_of(parts: BundleParts) -> dict[str, np.ndarray]:
    return {name: run_onnx(parts.models[name], IMAGES, make_preprocess(8)) for name in NAMES}


@pytest.fixture(scope="module")
def parts() -> BundleParts:
    return make_bundle_parts()


@pytest.fixture
def bundle(parts: BundleParts, tmp_path: Path) -> tuple[Path, Cascade, Evidence]:
    """A bundle whose first thresholds lie at the middle of what its stages say of IMAGES."""
    outputs = outputs_of(parts)
    levels = {name: [sureness(row, probabilities=False)[MEASURE] for row in outputs[name]] for name in NAMES}
    thresholds = (int(np.quantile(levels["int8"], 0.6)), int(np.quantile(levels["int8-float3"], 0.3)))
    evidence = with_readings(parts.evidence)
    cascade = make_cascade(parts, evidence, thresholds)
    ladder = replace(parts.manifest.ladder, cascade=cascade)
    changed = replace(parts, manifest=replace(parts.manifest, ladder=ladder))
    manifest, blobs = swap_blob(changed, parts.manifest.evidence, canonical.encode(evidence))
    pack(tmp_path / "c.shoe", manifest, blobs)
    return tmp_path / "c.shoe", cascade, evidence


def test_every_image_stops_where_the_rule_says(parts: BundleParts, bundle: tuple[Path, Cascade, Evidence]) -> None:
    path, cascade, _ = bundle
    outputs = outputs_of(parts)
    with open_bundle(path) as opened, Player(opened) as player:
        assert [rung.name for rung in player.rungs] == list(NAMES) and player.replayed == 8
        answers = list(player.classify(IMAGES))
    for image, answer in enumerate(answers):
        for place, stage in enumerate(cascade.stages, start=1):
            row = outputs[stage.rung][image]
            if stands(sureness(row, probabilities=False)[MEASURE], stage.threshold):
                assert (answer.rung, answer.stages, answer.index) == (stage.rung, place, int(np.argmax(row)))
                break
    assert {answer.stages for answer in answers} == {1, 2, 3}


def test_in_a_process_of_its_own_it_answers_the_same(
    parts: BundleParts, bundle: tuple[Path, Cascade, Evidence]
) -> None:
    path, *_ = bundle
    with (
        open_bundle(path) as opened,
        Player(opened) as player,
        DirectEngine(path) as direct,
        SupervisedEngine(path, care=Care(warm=False)) as engine,
    ):
        assert engine.wait_ready(120) == direct.running == CASCADE
        assert [state.name for state in engine.rungs if state.state == "proven"] == [CASCADE]
        stages = set()
        for image in IMAGES:
            here, near, there = player.outputs(image), direct.infer(image), engine.infer(image)
            np.testing.assert_array_equal(there.outputs, here.values)
            np.testing.assert_array_equal(near.outputs, here.values)
            told = (here.rung, here.stages, here.probabilities)
            assert told == (there.rung, there.stages, there.probabilities)
            assert told == (near.rung, near.stages, near.probabilities)
            stages.add(there.stages)
        assert stages == {1, 2, 3}


def test_a_stage_alone_runs_only_for_who_asks_for_stages(bundle: tuple[Path, Cascade, Evidence]) -> None:
    """A stage that is no rung may lose more than is certified."""
    path, *_ = bundle
    with open_bundle(path) as opened:
        ladder = opened.manifest.ladder
        stage = ladder.rungs[0]
        short = replace(ladder, rungs=ladder.rungs[1:], rejected=(*ladder.rejected, Rejected(stage.candidate, "x")))
        opened.manifest = replace(opened.manifest, ladder=short)
        with pytest.raises(UsageError, match="no rung 'int8'"):
            Player(opened, rung="int8")
        with Player(opened, rung="int8", stages=True) as player:
            assert player.outputs(IMAGES[0]).rung == "int8"
        assert "int8" not in choose(opened.manifest, None, None)[0]
        assert choose(opened.manifest, ["int8", "fp32"], "int8") == (("int8", "fp32"), "int8")


def test_counts_are_recomputed_as_the_workshop_counts(bundle: tuple[Path, Cascade, Evidence]) -> None:
    path, cascade, evidence = bundle
    with open_bundle(path) as opened:
        recheck_counts(opened)
    labels = np.array(evidence.split("certification").labels)
    runners = []
    for stage in cascade.stages:
        reading = evidence.reading(stage.rung, "certification")
        levels = {measure: np.array(values) for measure, values in reading.levels.items()}
        runners.append(Runner(stage.rung, stage.latency_ms, 0.0, np.array(reading.first) == labels, levels))
    original = np.array([top[0] for top in evidence.trace("original", "certification").top]) == labels
    thresholds = [stage.threshold for stage in cascade.stages if stage.threshold is not None]
    assert outcome(runners, MEASURE, thresholds, original) == replay_cascade(evidence, cascade, "certification")


def test_a_bundle_with_other_shares_does_not_pass_its_recheck(
    parts: BundleParts, bundle: tuple[Path, Cascade, Evidence], tmp_path: Path
) -> None:
    """One image moved from the second stage to the first on the certification split, all sums kept."""
    path, cascade, _ = bundle
    first, second, last = cascade.stages
    moved = (
        replace(first, answered_certification=first.answered_certification + 1),
        replace(second, answered_certification=second.answered_certification - 1),
        last,
    )
    with open_bundle(path) as opened:
        manifest = opened.manifest
        ladder = replace(manifest.ladder, cascade=replace(cascade, stages=moved))
        blobs = {blob.sha256: opened.read(blob.sha256) for blob in manifest.blobs}
    pack(tmp_path / "moved.shoe", replace(manifest, ladder=ladder), blobs)
    with open_bundle(tmp_path / "moved.shoe") as opened, pytest.raises(BundleError, match="certification split, not"):
        recheck_counts(opened)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "holdout"}, "a split that is not there"),
        ({"first": (0,)}, "has 1 values for 30 images"),
        ({"levels": {}}, "has the measures"),
        ({"levels": dict.fromkeys(MEASURES, (0,) * 29)}, "has 29 values for 30 images"),
        ({"levels": dict.fromkeys(MEASURES, (-1,) * 30)}, "outside its range"),
        ({"levels": dict.fromkeys(MEASURES, (2_000_000,) * 30)}, "outside its range"),
    ],
)
def test_readings_that_break_a_rule_are_refused(parts: BundleParts, changes: dict[str, object], words: str) -> None:
    evidence = with_readings(parts.evidence)
    broken = (replace(evidence.readings[0], **changes), *evidence.readings[1:])
    with pytest.raises(BundleError, match=words):
        check_evidence(replace(evidence, readings=broken))


def test_a_reading_that_is_there_twice_is_refused(parts: BundleParts) -> None:
    evidence = with_readings(parts.evidence)
    with pytest.raises(BundleError, match="is there twice"):
        check_evidence(replace(evidence, readings=(*evidence.readings, evidence.readings[0])))
