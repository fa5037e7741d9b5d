"""The page as a whole: complete, self-contained, the same every time, and deaf to hostile names."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from factory import make_evidence, make_ladder, make_manifest
from shoestring.base.errors import BundleError, MissingExtraError
from shoestring.base.units import format_bytes
from shoestring.bundle.sizes import sizes
from shoestring.domain.evidence import Evidence, Sensitivity
from shoestring.domain.ladder import Ladder
from shoestring.domain.manifest import Manifest
from shoestring.report import page, render, words

SECTIONS = ("ladder", "plot", "certificates", "layers", "rejected", "measured", "notes")
VOID = {"meta", "link", "br", "img", "hr", "input", "col", "rect", "line", "circle", "polygon"}


class Reader(HTMLParser):
    """Collects what the tests ask about, and checks that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All text, with plain spaces."""
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def make_pair(**options: Any) -> tuple[Manifest, Evidence]:
    evidence = make_evidence(**options)
    return make_manifest(evidence, ladder=make_ladder(evidence, chosen="int8-float3")), evidence


def external_references(reader: Reader) -> list[str]:
    """Every attribute that could make a browser fetch something; links within the page are allowed."""
    names = ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background", "style")
    found = [value or "" for _, attrs in reader.tags for name, value in attrs.items() if name in names]
    return [value for value in found if not value.startswith("#")]


@pytest.fixture(scope="module")
def pair() -> tuple[Manifest, Evidence]:
    return make_pair()


@pytest.fixture(scope="module")
def html(pair: tuple[Manifest, Evidence]) -> str:
    return render(*pair, size_bytes=15_500_000)


def test_every_section_is_there_in_order_and_linked(html: str) -> None:
    reader = read(html)
    ids = [attrs["id"] for tag, attrs in reader.tags if tag == "section"]
    assert ids == list(SECTIONS)
    linked = [attrs["href"] for tag, attrs in reader.tags if tag == "a" and attrs.get("class") != "skip"]
    assert linked == [f"#{name}" for name in SECTIONS]


def test_ids_are_unique_and_references_resolve(html: str) -> None:
    reader = read(html)
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in reader.tags:
        for name in (attrs.get("aria-labelledby") or "").split():
            assert name in ids


def test_headings_never_skip_a_level(html: str) -> None:
    levels = read(html).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_table_headers_have_a_scope_and_images_a_name(html: str) -> None:
    reader = read(html)
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in reader.tags if tag == "th")
    drawings = [attrs for tag, attrs in reader.tags if tag == "svg"]
    assert all(attrs.get("aria-hidden") == "true" or attrs.get("role") == "img" for attrs in drawings)
    assert sum(attrs.get("role") == "img" for attrs in drawings) == 2


def test_nothing_is_fetched_and_nothing_runs(html: str) -> None:
    reader = read(html)
    assert external_references(reader) == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in reader.tags}
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    assert "://" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_the_policy_allows_its_own_style_and_nothing_else(html: str) -> None:
    policy = next(
        attrs["content"] for _, attrs in read(html).tags if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "fetching",
    ['<img src="https://x.example/a.png">', '<link href="//x.example">', '<p style="background: url(a)"></p>'],
)
def test_the_check_for_references_finds_one(html: str, fetching: str) -> None:
    assert external_references(read(html.replace("<footer>", f"{fetching}<footer>", 1)))


def test_same_input_same_bytes(pair: tuple[Manifest, Evidence], html: str) -> None:
    assert render(*make_pair(), size_bytes=15_500_000) == html
    assert render(*pair, size_bytes=15_500_000) == html


def test_size(html: str) -> None:
    assert len(html.encode()) < 120_000


def test_a_large_bundle_stays_below_the_limit() -> None:
    manifest, evidence = make_pair(selection=2000, certification=4000, layers=3000)
    many = tuple(
        replace(item, candidate=replace(item.candidate, recipe=replace(item.candidate.recipe, name=f"variant-{i}")))
        for i, item in enumerate(manifest.ladder.rejected * 10)
    )
    html = render(replace(manifest, ladder=replace(manifest.ladder, rejected=many)), evidence)
    assert len(html.encode()) < page.MAX_BYTES / 4
    assert "And 2,975 more" in read(html).text


def test_a_page_beyond_the_limit_is_refused(pair: tuple[Manifest, Evidence]) -> None:
    manifest, evidence = pair
    with pytest.raises(BundleError, match="more than 2 MB"):
        render(replace(manifest, name="n" * page.MAX_BYTES), evidence)


HOSTILE = "</title></style></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7*7}}\x00\u202egnp"


def hostile_pair() -> tuple[Manifest, Evidence]:
    """Every text of the nouns carries the attack."""
    manifest, evidence = make_pair()
    ladder = manifest.ladder
    rungs = tuple(
        replace(
            rung,
            candidate=replace(
                rung.candidate,
                recipe=replace(rung.candidate.recipe, name=rung.name + HOSTILE, precision=HOSTILE, why=HOSTILE),
                runtime=HOSTILE,
                notes=(HOSTILE, HOSTILE),
            ),
            certificate=rung.certificate and replace(rung.certificate, method=HOSTILE, isa=(HOSTILE,)),
        )
        for rung in ladder.rungs
    )
    rejected = tuple(
        replace(
            item,
            reason=HOSTILE,
            candidate=replace(item.candidate, recipe=replace(item.candidate.recipe, name=HOSTILE, why=HOSTILE)),
        )
        for item in ladder.rejected
    )
    chosen = rungs[[rung.name for rung in ladder.rungs].index(ladder.chosen)].name
    evil = Ladder(rungs, rejected, chosen)
    manifest = replace(manifest, name=HOSTILE, created_by=HOSTILE, source_sha256=HOSTILE, ladder=evil)
    return manifest, replace(
        evidence,
        splits=tuple(replace(split, name=split.name + HOSTILE) for split in evidence.splits),
        sensitivity=(Sensitivity(HOSTILE, HOSTILE, 0.1, 10.0), *evidence.sensitivity),
        machine=replace(evidence.machine, name=HOSTILE, arch=HOSTILE, system=HOSTILE, isa=(HOSTILE,)),
        versions={HOSTILE: HOSTILE},
        measurement=HOSTILE,
    )


def test_hostile_names_stay_text() -> None:
    html = render(*hostile_pair())
    reader = read(html)
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert external_references(reader) == []
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    assert "\x00" not in html
    assert "\u202e" not in html
    assert "alert(1)" in reader.text
    assert "{{7*7}}" in reader.text


def test_the_escaping_test_catches_a_page_without_escaping(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = page.page_environment

    def broken(*given: str) -> Any:
        environment = sound(*given)
        environment.autoescape = False
        return environment

    monkeypatch.setattr(page, "page_environment", broken)
    with pytest.raises(AssertionError):
        test_hostile_names_stay_text()


def test_numbers_agree_with_the_nouns(pair: tuple[Manifest, Evidence], html: str) -> None:
    manifest, _ = pair
    text = read(html).text
    for rung in manifest.ladder.rungs:
        timing = rung.candidate.cost.at(rung.threads)
        assert words.milliseconds(timing.median_ms) in text
        assert f"{words.times(1 / timing.ratio_to_original)}×" in text
        assert words.percent(rung.candidate.score.value) in text
        assert words.points(rung.candidate.score.paired.drop) in text
        assert format_bytes(rung.candidate.cost.size_bytes) in text
        if rung.certificate is not None:
            paired = rung.certificate.paired
            assert f"{paired.original_hits - paired.losses} {paired.losses} {paired.wins}" in text
            assert rung.certificate.artefact_sha256 in text
    for file in sizes(manifest):
        assert f"{file.what} {format_bytes(file.size_bytes)} {format_bytes(file.stored_bytes)} {file.form}" in text
    for item in manifest.ladder.rejected:
        assert item.candidate.name in text
        assert item.reason in text
        assert item.candidate.recipe.why in text


def test_the_headline(pair: tuple[Manifest, Evidence], html: str) -> None:
    assert (
        "int8-float3 runs 2.13 times as fast as the original (2.01–2.19) in a third of the size and loses at most "
        "2 pt of top-1 accuracy (certified at 95 %, n = 900)."
    ) in read(html).text


def test_without_labels_it_speaks_of_agreement() -> None:
    text = read(render(*make_pair(labelled=False))).text
    assert "answers differently from the original on at most 2 % of images" in text
    assert "The images carry no labels" in text
    assert "top-1 accuracy" not in text


def test_chosen_reference_needs_no_certificate() -> None:
    evidence = make_evidence()
    ladder = make_ladder(evidence, chosen="fp32")
    only = replace(ladder, rungs=ladder.rungs[-1:], rejected=())
    text = read(render(make_manifest(evidence, ladder=only), evidence)).text
    assert "computes the original's own function, so its answers are the original's" in text
    assert "No rung carries a certificate" in text
    assert "Nothing: every candidate is on the ladder." in text


def test_the_bill_of_materials_is_named_where_there_is_one(pair: tuple[Manifest, Evidence], html: str) -> None:
    assert "Bill of materials" not in html
    told = render(*(replace(pair[0], bom="b" * 64), pair[1]))
    assert "Bill of materials" in told and "b" * 64 in told


def test_no_layer_probed(pair: tuple[Manifest, Evidence]) -> None:
    manifest, evidence = pair
    assert "No layer was probed" in read(render(manifest, replace(evidence, sensitivity=()))).text


def test_float_layers_of_the_chosen_rung_are_marked(html: str) -> None:
    assert "The chosen rung leaves 3 layers in float." in read(html).text
    assert html.count('<span class="tag">stays in float</span>') == 1


def test_splits_that_share_an_image_are_called_out(pair: tuple[Manifest, Evidence], html: str) -> None:
    manifest, evidence = pair
    calibration, selection, certification = evidence.splits
    leaked = replace(certification, images=(selection.images[0], *certification.images[1:]))
    text = read(render(manifest, replace(evidence, splits=(calibration, selection, leaked)))).text
    assert "selection and certification share 1 image" in text
    assert "No image is in two splits" in read(html).text


def test_a_certificate_that_its_evidence_denies_is_called_out(pair: tuple[Manifest, Evidence], html: str) -> None:
    manifest, evidence = pair
    assert "Warning" not in read(html).text
    ladder = manifest.ladder
    given = ladder.rungs[0].certificate
    assert given is not None
    better = replace(given, paired=replace(given.paired, losses=0))
    rungs = (replace(ladder.rungs[0], certificate=better), *ladder.rungs[1:])
    text = read(render(replace(manifest, ladder=replace(ladder, rungs=rungs)), evidence)).text
    assert text.count("Warning: the counts do not hold.") == 1


def test_evidence_without_answers_is_said(pair: tuple[Manifest, Evidence]) -> None:
    manifest, evidence = pair
    text = read(render(manifest, replace(evidence, traces=()))).text
    assert "could not take them again" in text
    assert "the same counts" not in text


def _unmeasured(ladder: Ladder) -> Ladder:
    return replace(ladder, rungs=(replace(ladder.rungs[0], threads=3), *ladder.rungs[1:]))


def _no_time(ladder: Ladder) -> Ladder:
    rung = ladder.rungs[0]
    timings = tuple(replace(timing, ratio_low=0.0) for timing in rung.candidate.cost.timings)
    candidate = replace(rung.candidate, cost=replace(rung.candidate.cost, timings=timings))
    return replace(ladder, rungs=(replace(rung, candidate=candidate), *ladder.rungs[1:]))


def _no_score(ladder: Ladder) -> Ladder:
    item = ladder.rejected[0]
    return replace(ladder, rejected=(replace(item, candidate=replace(item.candidate, scores=())),))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda ladder: replace(ladder, chosen="int4"), "'int4' is not one of its rungs"),
        (_unmeasured, "not measured at its 3 threads"),
        (_no_time, "not above zero"),
        (_no_score, "missing or outside"),
    ],
)
def test_a_ladder_that_contradicts_itself_is_refused(
    pair: tuple[Manifest, Evidence], spoil: Callable[[Ladder], Ladder], message: str
) -> None:
    manifest, evidence = pair
    with pytest.raises(BundleError, match=message):
        render(replace(manifest, ladder=spoil(manifest.ladder)), evidence)


def test_a_missing_package_is_named(pair: tuple[Manifest, Evidence], monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"shoestring\[fit\]"):
        render(*pair)
