"""The main job for a model that writes, end to end on a tiny one: llama.cpp scores, mixes are really made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from language_jobs import MAX_KL, WANTED, Job, fit_tiny, write_texts
from shoestring.base.errors import BudgetError, BundleError, DataError, ModelError, UsageError
from shoestring.bundle import open_bundle, recheck_counts
from shoestring.device.language.replaying import replay_rung
from shoestring.domain.budget import Budget
from shoestring.fitting.language.fit import fit_language
from shoestring.fitting.recheck import recheck
from shoestring.report import render
from tiny_gguf import NARROW, tiny_gguf


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    return fit_tiny(tmp_path_factory.mktemp("language"))


def test_a_ladder_is_made_and_proven(job: Job) -> None:
    ladder = job.fitted.ladder
    assert 2 <= len(ladder.rungs) <= 6
    names = [rung.name for rung in ladder.rungs] + [item.candidate.name for item in ladder.rejected]
    assert "given@llamacpp" in names
    chosen = ladder.rung(ladder.chosen)
    assert chosen.kl_certificate is not None
    assert chosen.kl_certificate.max_kl == MAX_KL
    assert chosen.candidate.cost.size_bytes < job.model.stat().st_size / 2
    for rung in ladder.rungs:
        assert rung.candidate.divergence is not None
        assert rung.candidate.divergence.kl <= MAX_KL
        assert (rung.kl_certificate is None) == (rung.name == "given@llamacpp")
    assert job.fitted.manifest.generation is not None
    assert job.fitted.manifest.generation.chat
    assert any("certification blocks" in note for note in job.fitted.notes)


def test_larger_mixes_diverge_less(job: Job) -> None:
    ladder = job.fitted.ladder
    made = [rung.candidate for rung in ladder.rungs] + [item.candidate for item in ladder.rejected]
    mixes = sorted((one for one in made if one.recipe.precision == "mixed"), key=lambda one: one.cost.size_bytes)
    kls = [one.divergence.kl for one in mixes if one.divergence is not None]
    assert len(kls) >= 3
    assert kls == sorted(kls, reverse=True)


def test_the_bundle_holds_all_of_it(job: Job) -> None:
    with open_bundle(job.bundle) as bundle:
        recheck_counts(bundle)
        evidence = bundle.evidence()
        assert recheck(bundle.manifest, evidence) == sum(
            rung.kl_certificate is not None for rung in bundle.manifest.ladder.rungs
        )
        splits = {split.name: set(split.images) for split in evidence.splits}
        assert not splits["certification"] & (splits["selection"] | splits["calibration"])
        assert len(splits["certification"]) == WANTED.certification
        assert {probe.layer for probe in evidence.sensitivity} >= {"token_embd.weight", "blk.1.ffn_down.weight"}


def test_every_rung_replays_its_golden_texts(job: Job, tmp_path) -> None:
    with open_bundle(job.bundle) as bundle:
        for rung in bundle.manifest.ladder.rungs:
            assert replay_rung(bundle, rung, threads=1, folder=tmp_path) == 12


def test_a_second_run_takes_every_step_from_the_cache(job: Job) -> None:
    told: list[str] = []
    again = fit_language(
        job.model,
        job.texts,
        budget=Budget(max_kl=MAX_KL, threads=1),
        context=128,
        wanted=WANTED,
        cache=job.cache,
        progress=lambda what, done, total: told.append(what),
    )
    assert again.ladder == job.fitted.ladder
    assert again.manifest.evidence == job.fitted.manifest.evidence
    assert not [what for what in told if what.startswith(("scoring", "rounding", "finding", "measuring"))]
    assert [what for what in job.told if what.startswith("scoring the original")]


def test_certificates_and_intervals_are_taken_again(job: Job) -> None:
    manifest, evidence = job.fitted.manifest, job.fitted.evidence
    place = next(i for i, rung in enumerate(manifest.ladder.rungs) if rung.kl_certificate is not None)

    def lying(**changes: object):
        rungs = list(manifest.ladder.rungs)
        for name, value in changes.items():
            if name == "divergence":
                candidate = replace(rungs[place].candidate, divergence=value)
                rungs[place] = replace(rungs[place], candidate=candidate)
            else:
                rungs[place] = replace(rungs[place], **{name: value})
        return replace(manifest, ladder=replace(manifest.ladder, rungs=tuple(rungs)))

    held, found = manifest.ladder.rungs[place].kl_certificate, manifest.ladder.rungs[place].candidate.divergence
    assert held is not None and found is not None
    with pytest.raises(BundleError, match="says p"):
        recheck(lying(kl_certificate=replace(held, p_value=held.p_value / 2)), evidence)
    with pytest.raises(BundleError, match="is the most allowed"):
        recheck(lying(kl_certificate=replace(held, max_kl=held.mean * 1.0001, p_value=0.04)), evidence)
    with pytest.raises(BundleError, match="has no certificate"):
        recheck(lying(kl_certificate=None), evidence)
    with pytest.raises(BundleError, match="kl_low"):
        recheck(lying(divergence=replace(found, kl_low=found.kl_low * 0.9)), evidence)
    with pytest.raises(BundleError, match="KL of"):
        recheck(lying(divergence=replace(found, kl=found.kl * 0.99, kl_low=0.0)), evidence)


def test_the_page_tells_it(job: Job) -> None:
    page = render(job.fitted.manifest, job.fitted.evidence, size_bytes=job.bundle.stat().st_size)
    for words in ("given@llamacpp", "What is certified", "Memory by context", "ffn_down", "<script"):
        assert (words in page) == (words != "<script")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(tokens_per_s=1e7, threads=1), "tokens/s"),
        (Budget(max_kl=MAX_KL, memory_bytes=1_000, threads=1), "smallest mix"),
    ],
)
def test_what_cannot_be_had_is_told_with_what_can(job: Job, budget: Budget, words: str) -> None:
    with pytest.raises(BudgetError) as caught:
        fit_language(job.model, job.texts, budget=budget, context=128, wanted=WANTED, cache=job.cache)
    told = f"{caught.value.message} {caught.value.hint} {[row['reason'] for row in caught.value.rows]}"
    assert words in told
    assert caught.value.exit_code == 3


def test_the_original_alone_is_left_where_no_mix_is_near_enough(job: Job) -> None:
    budget = Budget(max_kl=1e-7, threads=1)
    fitted = fit_language(job.model, job.texts, budget=budget, context=128, wanted=WANTED, cache=job.cache)
    assert [rung.name for rung in fitted.ladder.rungs] == [fitted.ladder.chosen] == ["given@llamacpp"]
    assert [item for item in fitted.ladder.rejected if "a KL of" in item.reason] == list(fitted.ladder.rejected) != []


def test_on_another_chip_costs_are_estimates(job: Job) -> None:
    fitted = fit_language(
        job.model,
        job.texts,
        budget=Budget(max_kl=MAX_KL),
        chip="raspberry-pi-5-8gb",
        context=128,
        wanted=WANTED,
        cache=job.cache,
    )
    for rung in fitted.ladder.rungs:
        predicted = rung.candidate.cost.predicted
        assert predicted is not None
        assert predicted.chip == "raspberry-pi-5-8gb"
        assert all(rate.runs == 0 for rate in rung.candidate.cost.tokens.rates)
    assert "nothing was measured on raspberry-pi-5-8gb" in fitted.evidence.measurement


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"budget": Budget(max_drop=0.01)}, UsageError, "no accuracy"),
        ({"budget": Budget(max_kl=-1.0)}, UsageError, "max_kl"),
        ({"budget": Budget(threads=10_000)}, UsageError, "threads"),
        ({"chip": "no-such-chip"}, UsageError, "no-such-chip"),
        ({"chip_file": "a.toml"}, UsageError, "chip file"),
        ({"context": 10_000}, UsageError, "context of 10000"),
        ({"out": "/nowhere/at/all.shoe"}, UsageError, "does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused_before_work(job: Job, change, error, words) -> None:
    with pytest.raises(error, match=words):
        fit_language(job.model, job.texts, wanted=WANTED, cache=job.cache, **change)


def test_too_few_texts_for_a_margin_are_told_before_work(job: Job, tmp_path) -> None:
    texts = write_texts(tmp_path / "few", count=48, seed=1)
    with pytest.raises(BudgetError, match=r"blocks are too few to certify a KL of 0\.05; about"):
        fit_language(
            job.model,
            texts,
            budget=Budget(max_kl=0.05, confidence=0.999),
            context=128,
            wanted=replace(WANTED, certification=8),
            cache=tmp_path,
        )


def test_a_broken_model_is_refused(job: Job, tmp_path) -> None:
    data = job.model.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError):
        fit_language(tmp_path / "cut.gguf", job.texts, cache=tmp_path)
    with pytest.raises(DataError):
        fit_language(tiny_gguf(tmp_path / "a.gguf", NARROW), tmp_path / "no-texts", cache=tmp_path)
