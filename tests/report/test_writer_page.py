"""The page of a model that writes: complete, self-contained, escaped, and true to its evidence."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from shoestring.base.errors import BundleError
from shoestring.domain.text import TokenCascade
from shoestring.report import render
from text_bundles import RUNGS, make_writer_parts

PARTS = make_writer_parts()
SECTIONS = ("ladder", "plot", "memory", "certificates", "tensors", "rejected", "measured")


@pytest.fixture(scope="module")
def html() -> str:
    return render(PARTS.manifest, PARTS.evidence, size_bytes=1_000)


def told(page: str) -> str:
    """With spaces that may break: numbers stand beside their units with ones that may not."""
    return re.sub("[\u00a0\u202f]", " ", page)


def test_every_section_is_there_in_order_and_linked(html: str) -> None:
    places = [html.index(f'<section id="{name}"') for name in SECTIONS]
    assert places == sorted(places)
    assert all(f'href="#{name}"' in html for name in SECTIONS)


def test_ids_are_unique_and_references_resolve(html: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    wanted = [one for group in re.findall(r'aria-labelledby="([^"]+)"', html) for one in group.split()]
    assert set(wanted) <= set(ids)


def test_it_holds_no_script_and_fetches_nothing(html: str) -> None:
    assert "<script" not in html
    assert not re.findall(r'(?:src|href)="(?!#)', html)


def test_the_figures_of_every_rung_are_told(html: str) -> None:
    page = told(html)
    for rung in PARTS.manifest.ladder.rungs:
        assert rung.candidate.recipe.name in page
        assert f"{100 * rung.candidate.divergence.agreement:.2f} %" in page
    assert page.count("n = 60") == 2
    assert "a KL of 0.9 on the selection split, more than 0.2" in page
    assert "512 tokens" in page


def test_the_same_bundle_gives_the_same_page(html: str) -> None:
    assert render(PARTS.manifest, PARTS.evidence, size_bytes=1_000) == html


def test_names_are_escaped() -> None:
    page = render(replace(PARTS.manifest, name="<b>x</b>"), PARTS.evidence)
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x" in page


def test_figures_that_the_evidence_does_not_give_are_refused() -> None:
    blocks = PARTS.evidence.blocks or ()
    doubled = replace(blocks[1], kl=tuple(2 * kl for kl in blocks[1].kl))
    with pytest.raises(BundleError, match="KL of"):
        render(PARTS.manifest, replace(PARTS.evidence, blocks=(blocks[0], doubled, *blocks[2:])))


def test_overlapping_splits_are_warned_of() -> None:
    splits = list(PARTS.evidence.splits)
    splits[2] = replace(splits[2], images=(splits[1].images[0], *splits[2].images[1:]))
    page = render(PARTS.manifest, replace(PARTS.evidence, splits=tuple(splits)))
    assert "the splits are not disjoint" in page


def test_a_cascade_is_told() -> None:
    cascade = TokenCascade(RUNGS[0], RUNGS[1], "mean-logprob", -0.5, 0.8, "exact test, n = 90")
    generation = replace(PARTS.manifest.generation, cascade=cascade)
    page = render(replace(PARTS.manifest, generation=generation), PARTS.evidence)
    assert "80.00 % of the prompts keep the first answer" in told(page)
