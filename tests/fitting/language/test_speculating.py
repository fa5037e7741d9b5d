"""Writing ahead is used where it was measured to be faster, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from factory_evidence import make_machine
from shoestring.base.cache import Cache
from shoestring.base.errors import DataError
from shoestring.fitting.language import speculating
from shoestring.fitting.language.bench import Written
from shoestring.fitting.progress import silent
from shoestring.runtimes.llamacpp.speculation import Gain
from text_bundles import make_writer_evidence, make_writer_ladder

DOCUMENTS = tuple(f"Text {number} says this and that." for number in range(12))
FASTER = Gain("ngram-simple", 1.2, 1.05, 1.4, 0.975, 8, 8, 40, 20)
SLOWER = replace(FASTER, ratio=0.8, low=0.7, high=0.9)


@pytest.fixture
def ladder():
    found = make_writer_ladder(make_writer_evidence())
    return replace(found, chosen=found.rungs[-1].name)


def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ladder, *gains: Gain):
    """What a fit is told, and the arguments that were asked with."""
    asked: dict[str, object] = {}

    def faster_with(model: Path, prompts: list[str], kinds: tuple[str, ...], **options: object) -> tuple[Gain, ...]:
        asked.update(options, model=model, prompts=prompts, kinds=kinds)
        if not gains:
            raise DataError("only 1 of 8 prompts was answered")
        return gains

    monkeypatch.setattr(speculating, "faster_with", faster_with)
    bench = SimpleNamespace(
        cache=Cache(tmp_path), engine="x 1", machine=make_machine(), context=128, seed=0, progress=silent
    )
    made = {
        rung.name: Written(rung.name, rung.candidate.recipe, tmp_path / rung.name, "0" * 64, 1) for rung in ladder.rungs
    }
    return speculating.speculation(bench, ladder, made, DOCUMENTS), asked


def test_a_way_that_is_faster_is_used(monkeypatch, tmp_path, ladder) -> None:
    (ways, notes), asked = tried(monkeypatch, tmp_path, ladder, FASTER)
    assert ways == {ladder.chosen: "ngram"}
    assert notes == (
        "writing ahead by ngram-simple: 1.20 times as fast (1.05 to 1.40), 8 of 8 answers unchanged: used",
    )
    assert asked["prompts"] == list(DOCUMENTS[: speculating.PROMPTS])


def test_one_that_is_not_surely_faster_is_told_and_left(monkeypatch, tmp_path, ladder) -> None:
    (ways, notes), _ = tried(monkeypatch, tmp_path, ladder, SLOWER, replace(FASTER, low=0.99))
    assert ways == {}
    assert [note.rsplit(": ", 1)[1] for note in notes] == ["not used", "not used"]


def test_one_that_changes_an_answer_is_left(monkeypatch, tmp_path, ladder) -> None:
    (ways, _), _ = tried(monkeypatch, tmp_path, ladder, replace(FASTER, unchanged=7))
    assert ways == {}


def test_a_draft_is_the_smallest_rung_of_at_most_half_the_bytes(monkeypatch, tmp_path, ladder) -> None:
    (_, _), asked = tried(monkeypatch, tmp_path, ladder, SLOWER)
    assert asked["draft"] is None, "62 MB are more than half of 98"
    cheap = ladder.rungs[0]
    cost = replace(cheap.candidate.cost, size_bytes=40_000_000)
    small = replace(cheap, candidate=replace(cheap.candidate, cost=cost))
    ladder = replace(ladder, rungs=(small, *ladder.rungs[1:]))
    (ways, _), asked = tried(monkeypatch, tmp_path / "2", ladder, SLOWER, replace(FASTER, kind="draft"))
    assert asked["draft"] == tmp_path / "2" / small.name
    assert ways == {ladder.chosen: f"draft:{small.name}"}


def test_a_model_with_nothing_to_say_is_told(monkeypatch, tmp_path, ladder) -> None:
    (ways, notes), _ = tried(monkeypatch, tmp_path, ladder)
    assert (ways, notes) == ({}, ("writing ahead was not tried: only 1 of 8 prompts was answered",))
