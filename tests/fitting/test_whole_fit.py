"""A whole fit of a small task: what the ladder, the splits, the evidence and the bundle hold."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

import tiny
from boms import complaint
from shoestring.base.errors import BudgetError, ModelError
from shoestring.bundle import open_bundle
from shoestring.bundle.bom import make_bom
from shoestring.bundle.packing import with_forms
from shoestring.compress.passes import PASSES
from shoestring.compress.passes.fp16_weights import Fp16Weights
from shoestring.device import Player
from shoestring.domain.budget import Budget
from shoestring.domain.preprocess import Preprocess
from shoestring.fitting import fit
from shoestring.fitting.recheck import recheck


def test_the_ladder_goes_from_cheap_to_dear_and_every_rung_is_proven(fitted):
    ladder = fitted.ladder
    assert [rung.name for rung in ladder.rungs] == ["fp16-weights", "int8", "fp32"]
    assert ladder.chosen == "fp16-weights"
    latencies = [rung.candidate.cost.at(None).median_ms for rung in ladder.rungs]
    assert latencies == sorted(latencies)
    for rung in ladder.rungs:
        certificate = rung.certificate
        if rung.name == "fp32":
            assert certificate is None
            continue
        assert certificate is not None
        assert (certificate.metric, certificate.max_drop, certificate.confidence) == ("top-1", 0.05, 0.95)
        assert certificate.p_value <= 0.05 and certificate.paired.n == 260
        assert certificate.artefact_sha256 == rung.candidate.artefact_sha256
        assert certificate.isa == fitted.evidence.machine.isa
    (rejected,) = ladder.rejected
    assert rejected.candidate.name == "int8-float1" and "nowhere better than" in rejected.reason
    assert recheck(fitted.manifest, fitted.evidence) == 2


def test_the_splits_are_disjoint_by_content_and_are_all_of_the_data(fitted, task):
    splits = fitted.evidence.splits
    assert [(split.name, len(split.images)) for split in splits] == [
        ("calibration", 40),
        ("selection", 100),
        ("certification", 260),
    ]
    together = [image for split in splits for image in split.images]
    truth = {
        hashlib.sha256(path.read_bytes()).hexdigest(): tiny.CLASSES.index(path.parent.name)
        for path in task.data.rglob("*.png")
    }
    assert len(together) == len(set(together)) and set(together) == truth.keys()
    for split in splits:
        assert split.labels == tuple(truth[image] for image in split.images)


def test_the_notes_say_what_was_done(fitted):
    notes = "\n".join(fitted.notes)
    assert "pre-processing proposed (0..1 RGB" in notes
    assert "40 images to calibrate, 100 to select, 260 to certify; no image is in two" in notes
    assert "the original's own top-1: 9" in notes


def test_the_original_is_scored_as_it_really_is(fitted, task):
    """The traces, taken again from the files with the numpy twin of the network."""
    weights = tiny.make_weights()
    files = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in task.data.rglob("*.png")}
    split = fitted.evidence.split("certification")
    images = np.stack([np.asarray(Image.open(files[image])) for image in split.images])
    logits = tiny.answer(weights, images)
    firsts = [top[0] for top in fitted.evidence.trace("original", "certification").top]
    assert (logits.argmax(axis=1) == firsts).mean() > 0.995  # float64 against float32: a near tie may turn


def test_the_bundle_plays(fitted, task, tmp_path):
    path = tmp_path / "tiny.shoe"
    sha256 = fitted.save(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    for name in ("fp16-weights", "int8", "fp32"):
        with open_bundle(path) as bundle, Player(bundle, rung=name) as player:
            assert player.replayed == 32
            pixels = np.asarray(Image.open(task.data / "red" / "0002.png"))
            (answer,) = player.classify([pixels])
            assert answer.top[0][1] == "red"


def test_the_bundle_carries_its_bill_of_materials(fitted, tmp_path):
    fitted.save(tmp_path / "a.shoe")
    with open_bundle(tmp_path / "a.shoe") as bundle:
        bom = bundle.bom()
    assert bom == make_bom(fitted.manifest, fitted.evidence)
    assert complaint(bom) is None
    named = {one["name"] for one in bom["metadata"]["tools"]["components"]}
    assert {"shoestring", "python", "numpy", "onnx", "scipy", "onnxruntime"} <= named
    refs = {one["bom-ref"] for one in bom["components"]}
    assert {f"rung:{rung.name}" for rung in fitted.ladder.rungs} <= refs


def test_without_labels_the_metric_is_agreement(task, tmp_path):
    fitted = fit(task.model, task.wild, budget=Budget(max_drop=0.05), cache=tmp_path / "cache")
    assert fitted.evidence.metric == "agreement"
    assert fitted.manifest.labels == () and all(split.labels is None for split in fitted.evidence.splits)
    for rung in fitted.ladder.rungs:
        assert [score.metric for score in rung.candidate.scores] == ["agreement"]
        assert rung.candidate.score.paired.wins == 0
        assert rung.certificate is None or rung.certificate.metric == "agreement"
    assert "scored by agreement with the original's first class" in "\n".join(fitted.notes)
    assert all(row["metric"] == "agreement" for row in fitted.rows())
    assert recheck(fitted.manifest, fitted.evidence) >= 1


def test_a_candidate_whose_pass_refuses_is_named(task, tmp_path, monkeypatch):
    class Refuses(Fp16Weights):
        def requires(self, graph, options):
            return "a weight reaches 1e+06, beyond the largest fp16 number"

    monkeypatch.setitem(PASSES, "fp16_weights", Refuses())
    fitted = fit(task.model, task.data, limit=120, cache=tmp_path / "cache")
    assert "fp16-weights" not in {row["candidate"] for row in fitted.rows()}
    (note,) = [note for note in fitted.notes if "fp16" in note]
    assert "recipe 'fp16-weights'" in note and "beyond the largest fp16 number" in note


def test_a_pass_that_breaks_its_promise_is_named_and_its_model_not_used(task, tmp_path, monkeypatch):
    class Breaks(Fp16Weights):
        def run(self, graph, options, workshop):
            return graph, ()

    monkeypatch.setitem(PASSES, "fp16_weights", Breaks())
    fitted = fit(task.model, task.data, limit=120, cache=tmp_path / "cache")
    assert any("broke its promise" in note for note in fitted.notes)
    assert "fp16-weights" not in {row["candidate"] for row in fitted.rows()}


def test_a_reference_that_cannot_be_made_ends_the_fit(task, tmp_path, monkeypatch):
    lower = PASSES["lower_mean"]
    monkeypatch.setattr(type(lower), "ensures", lambda self, graph, options: "a mean was lost")
    with pytest.raises(ModelError, match=r"recipe 'fp32': lower_mean broke its promise: a mean was lost"):
        fit(task.model, task.data, limit=120, cache=tmp_path / "cache")


def test_a_given_preprocessing_is_used_and_stored(task, warm):
    spec = Preprocess(height=tiny.SIZE, width=tiny.SIZE, filter="nearest")
    fitted = fit(task.model, task.data, preprocess=spec, limit=120, cache=warm)
    assert fitted.manifest.preprocess == spec
    assert any(note.startswith("pre-processing as given: 16x16 rgb") for note in fitted.notes)


def test_another_seed_gives_other_splits(task, warm, fitted):
    other = fit(task.model, task.data, budget=Budget(max_drop=0.05), seed=1, cache=warm)
    assert other.evidence.seed == 1
    assert other.evidence.split("certification").images != fitted.evidence.split("certification").images
    with pytest.raises(BudgetError, match=r"n = 260 is too small to certify 0\.1 pt"):
        fit(task.model, task.data, budget=Budget(max_drop=0.001), cache=warm)


def test_out_writes_the_bundle(task, warm, tmp_path):
    budget, out = Budget(max_drop=0.05), tmp_path / "a.shoe"
    fitted = fit(str(task.model), str(task.data), budget=budget, out=str(out), cache=str(warm))
    assert [path.name for path in tmp_path.iterdir()] == ["a.shoe"]
    with open_bundle(out) as bundle:
        assert bundle.manifest == with_forms(fitted.manifest, fitted.blobs)[0] and bundle.evidence() == fitted.evidence
