"""Whole fits of a tiny encoder: a linear probe, a head of its own, nearest neighbours; and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import text_fits
import tiny_encoder
from shoestring.base.errors import BudgetError, BundleError, DataError, ModelError, UsageError
from shoestring.bundle import open_bundle, recheck_counts
from shoestring.bundle.rules import check_manifest
from shoestring.device.text import TextPlayer
from shoestring.domain.budget import Budget
from shoestring.domain.score import NEIGHBOUR_AGREEMENT
from shoestring.evaluate.texts import open_texts
from shoestring.fitting.recheck import recheck
from shoestring.fitting.text import fit_text


def test_a_probe_gives_a_certified_ladder_that_is_cheaper() -> None:
    fitted = text_fits.probe_fit()
    chosen = fitted.ladder.rung(fitted.ladder.chosen)
    assert chosen.certificate is not None and chosen.certificate.max_drop == 0.1
    assert chosen.candidate.cost.at(1).median_ms < 0.7 * 8
    assert fitted.manifest.labels == tuple(sorted(tiny_encoder.CLASSES))
    assert fitted.manifest.output.shape[1] == len(tiny_encoder.CLASSES)
    assert recheck(fitted.manifest, fitted.evidence) >= 1


def test_every_kind_of_recipe_was_tried() -> None:
    names = {row["candidate"] for row in text_fits.probe_fit().rows()}
    assert names >= {"fp32", "int8-dynamic", "int8-smooth", "w4-gptq", "w4a8-gptq", "blocks1-int8", "first16-int8"}


def test_the_original_tells_the_classes_apart_and_the_notes_say_so() -> None:
    fitted = text_fits.probe_fit()
    original = fitted.ladder.rung("fp32").candidate.score
    assert original.original > 0.75 and original.value == original.original
    words = " ".join(fitted.notes)
    assert "the original's own top-1" in words and "tokens, median" in words and "fit the probe" in words


def test_the_bundle_is_sound_and_a_device_answers_as_the_evidence_says() -> None:
    fitted, path = text_fits.probe_fit(), text_fits.bundle_of("probe")
    with open_bundle(path) as bundle:
        recheck_counts(bundle)
        check_manifest(bundle.manifest)
        evidence, name = bundle.evidence(), fitted.ladder.chosen
        texts = open_texts(text_fits.root() / "texts")
        by_hash = dict(zip(texts.hashes, texts.texts, strict=True))
        split = evidence.split("certification")
        trace = evidence.trace(name, "certification")
        with TextPlayer(bundle) as player:
            answers = player.classify([by_hash[one] for one in split.images[:40]])
        assert [one.answer.index for one in answers] == [top[0] for top in trace.top[:40]]


def test_a_repeated_fit_of_kept_steps_is_the_same_bundle() -> None:
    again = text_fits.fit_tiny("probe", 0.1)
    assert again.manifest == text_fits.probe_fit().manifest


def test_embeddings_are_certified_by_their_nearest_neighbours() -> None:
    fitted = text_fits.embedding_fit()
    assert fitted.evidence.metric == NEIGHBOUR_AGREEMENT
    assert fitted.manifest.text is not None and fitted.manifest.text.normalized
    certified = [rung for rung in fitted.ladder.rungs if rung.certificate is not None]
    assert certified and all(rung.certificate.metric == NEIGHBOUR_AGREEMENT for rung in certified if rung.certificate)
    gallery = len(fitted.evidence.split("calibration").images)
    tops = fitted.evidence.trace("original", "selection").top
    assert {len(top) for top in tops} == {5} and max(max(top) for top in tops) < gallery
    notes = " ".join(certified[0].candidate.notes)
    assert "recall@10" in notes and "ndcg@10" in notes and "same-class@10" in notes


def test_a_neighbour_that_the_evidence_does_not_hold_is_found() -> None:
    """The saboteur: a trace that claims more agreement than it has."""
    fitted = text_fits.embedding_fit()
    name = next(rung.name for rung in fitted.ladder.rungs if rung.certificate is not None)
    wrong = [
        replace(trace, top=tuple((top[0] ^ 1, *(i for i in top[1:] if i != top[0] ^ 1)) for top in trace.top))
        if (trace.candidate, trace.split) == (name, "certification")
        else trace
        for trace in fitted.evidence.traces
    ]
    with pytest.raises(BundleError):
        recheck(fitted.manifest, replace(fitted.evidence, traces=tuple(wrong)))


def test_a_head_of_its_own_is_certified_by_agreement_without_labels(tmp_path: Path) -> None:
    flat = tiny_encoder.write_texts(tmp_path / "flat", 150, labels=False)
    fitted = text_fits.fit_tiny("head", None, data=flat)
    assert fitted.evidence.metric == "agreement"
    assert fitted.manifest.text is not None and fitted.manifest.text.kind == "classification"
    assert np.isfinite(fitted.ladder.rungs[0].candidate.score.value)


def test_a_budget_that_nothing_meets_says_what_can_be_had() -> None:
    with pytest.raises(BudgetError) as caught:
        text_fits.fit_tiny("probe", 0.0001)
    assert "too small to certify" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"way": "guess"}, "no way 'guess'"),
        ({"chip": "raspberry-pi-5-8gb"}, "not predicted for raspberry-pi-5-8gb"),
        ({"budget": Budget(max_kl=0.1)}, "models that write text"),
        ({"max_tokens": 1}, "1 tokens are outside"),
        ({"way": "probe", "data": "flat"}, "the texts have none"),
        ({"tokenizer": "gone.json"}, "is not there"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(tmp_path: Path, more: dict[str, object], words: str) -> None:
    model = tiny_encoder.write_encoder(tmp_path / "m")
    data = tiny_encoder.write_texts(tmp_path / "t", 60, labels=more.pop("data", "t") != "flat")
    with pytest.raises(UsageError, match=words):
        fit_text(model, data, cache=tmp_path / "c", **more)  # type: ignore[arg-type]


def test_a_model_that_is_no_encoder_is_refused_by_its_inputs(tmp_path: Path) -> None:
    import encoders

    path = tiny_encoder.write_encoder(tmp_path / "m")
    path.write_bytes(encoders.encoder().SerializeToString())
    with pytest.raises(ModelError, match="no token ids"):
        fit_text(path, tiny_encoder.write_texts(tmp_path / "t", 60), cache=tmp_path / "c")


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tiny_encoder.write_encoder(tmp_path / "m")
    (tmp_path / "m" / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="the tokenizer cannot be read"):
        fit_text(path, tiny_encoder.write_texts(tmp_path / "t", 60), cache=tmp_path / "c")
