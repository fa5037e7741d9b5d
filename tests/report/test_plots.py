"""The drawings: places agree with the numbers, labels cover nothing, foreign text stays text."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from importlib.resources import files
from itertools import combinations
from xml.etree import ElementTree

import pytest

from factory import make_evidence, make_ladder, make_manifest
from shoestring.domain.budget import Budget
from shoestring.domain.evidence import Sensitivity
from shoestring.report import marks, svg
from shoestring.report.axis import linear, logarithmic
from shoestring.report.layers import SHOWN, layer_chart
from shoestring.report.placing import Anchor, Box, place
from shoestring.report.rows import Rows, rows_of
from shoestring.report.scatter import NARROW, WIDE, Shape, scatter


def make_rows(*, labelled: bool = True) -> Rows:
    evidence = make_evidence(labelled=labelled)
    return rows_of(make_manifest(evidence, ladder=make_ladder(evidence, chosen="int8-float3")))


def test_linear_axis_maps_its_ends_and_marks_round_values() -> None:
    axis = linear(0.0, 5.3, 50.0, 850.0, wanted=6)
    assert axis.at(0.0) == 50.0
    assert axis.at(5.3) == 850.0
    assert axis.ticks == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)


def test_axis_holds_what_lies_beyond_it() -> None:
    axis = linear(90.0, 95.0, 300.0, 0.0, wanted=5)
    assert axis.at(40.0) == 300.0
    assert axis.at(99.0) == 0.0


def test_axis_without_a_span() -> None:
    axis = linear(3.0, 3.0, 0.0, 100.0, wanted=4)
    assert axis.at(3.0) == pytest.approx(50.0)


def test_logarithmic_axis_gives_equal_factors_equal_room() -> None:
    axis = logarithmic(1.0, 1000.0, 0.0, 300.0)
    assert [axis.at(value) for value in (1, 10, 100)] == pytest.approx([0, 100, 200])
    assert axis.ticks == (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def boxes_overlap(boxes: list[Box]) -> bool:
    return any(first.overlaps(second) for first, second in combinations(boxes, 2))


@pytest.mark.parametrize("seed", range(12))
def test_labels_cover_neither_each_other_nor_marks(seed: int) -> None:
    rng = random.Random(seed)
    frame = Box(0, 0, 340, 320)
    # Half of the marks are crowded into one corner: the hard case.
    spots = [(rng.uniform(10, 330), rng.uniform(10, 310)) for _ in range(6)]
    spots += [(rng.uniform(60, 80), rng.uniform(60, 80)) for _ in range(6)]
    points = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    placed = place([Anchor(x, y, rng.uniform(30, 120), 15) for x, y in spots], points, [], frame)
    found = [box for box in placed if box is not None]
    assert len(found) == len(spots)
    assert not boxes_overlap(found)
    assert all(box.inside(frame) for box in found)
    assert not any(box.overlaps(point) for box in found for point in points)


def test_labels_all_on_the_right_would_overlap() -> None:
    """The saboteur of the test above: without a search, crowded labels do cover each other."""
    naive = [Box(70 + i, 60 + i, 150 + i, 75 + i) for i in range(6)]
    assert boxes_overlap(naive)


def test_no_room_gives_no_label() -> None:
    assert place([Anchor(10, 10, 500, 15)], [], [], Box(0, 0, 100, 100)) == [None]


def test_a_label_avoids_a_stroke_where_it_can() -> None:
    stroke = Box(100, 95, 300, 105)
    [box] = place([Anchor(100, 100, 60, 15)], [Box(94, 94, 106, 106)], [stroke], Box(0, 0, 400, 200))
    assert box is not None
    assert not box.overlaps(stroke)


@pytest.mark.parametrize("shape", [WIDE, NARROW])
@pytest.mark.parametrize("labelled", [True, False])
def test_scatter_is_well_formed_and_within_its_frame(shape: Shape, labelled: bool) -> None:
    rows = make_rows(labelled=labelled)
    drawn = scatter(rows, Budget(max_drop=0.02, latency_ms=5.0), "top-1 accuracy", shape)
    root = ElementTree.fromstring(drawn)
    labels = [item for item in root.iter("text") if (item.get("class") or "").startswith("label")]
    assert len(labels) == len(rows.all)
    for line in root.iter("line"):
        assert 0 <= float(line.get("x1") or -1) <= shape.width
        assert 0 <= float(line.get("y1") or -1) <= shape.height
    assert [item.tag for item in root][:2] == ["title", "desc"]


def test_scatter_puts_the_faster_to_the_left_and_the_better_higher() -> None:
    rows = make_rows()
    drawn = scatter(rows, Budget(), "top-1 accuracy", WIDE)
    root = ElementTree.fromstring(drawn)
    places = {}
    for group in root.iter("g"):
        name = (group.findtext("title") or "").split(":")[0]
        circle = group.findall("circle")
        if circle:
            places[name] = (float(circle[-1].get("cx") or 0), float(circle[-1].get("cy") or 0))
    first, chosen = rows.rungs[0], rows.chosen
    assert places[first.name][0] < places[chosen.name][0]
    assert (places[first.name][1] < places[chosen.name][1]) == (first.score.value > chosen.score.value)


def test_a_candidate_far_below_is_marked_at_the_foot_with_its_value() -> None:
    rows = make_rows()
    drawn = scatter(rows, Budget(), "top-1 accuracy", WIDE)
    far = next(row for row in rows.rejected if row.name == "int8-entropy")
    assert "mark-below" in drawn
    assert f"{far.name} {100 * far.score.value:.2f} %" in drawn


def test_latencies_that_differ_much_get_a_log_scale() -> None:
    rows = make_rows()
    slow = replace(rows.rejected[0], timing=replace(rows.rejected[0].timing, median_ms=90, low_ms=80, high_ms=100))
    assert "log scale" not in scatter(rows, Budget(), "top-1 accuracy", WIDE)
    assert "log scale" in scatter(replace(rows, rejected=(slow,)), Budget(), "top-1 accuracy", WIDE)


def test_the_original_gets_a_mark_where_no_rung_stands_for_it() -> None:
    rows = make_rows()
    assert "mark-original" not in scatter(rows, Budget(), "top-1 accuracy", WIDE)
    alone = Rows(rows.rungs[:-1], rows.rejected, rows.chosen, None)
    assert "mark-original" in scatter(alone, Budget(), "top-1 accuracy", WIDE)


def test_svg_escapes_and_rounds() -> None:
    assert (
        svg.text("<b>&", 1 / 3, -0.001, "x")
        == '<text x="0.33" y="0" class="x" text-anchor="start">&lt;b&gt;&amp;</text>'
    )
    assert "&quot;&gt;" in svg.element("g", {"class": '">'})


def test_bar_length_is_the_fraction() -> None:
    bar = ElementTree.fromstring(marks.bar(0.25, "fill-rung", limit=0.5))
    assert [item.get("width") for item in bar.iter("rect")] == ["25"]
    assert [item.get("x1") for item in bar.iter("line")] == ["50"]
    assert bar.get("aria-hidden") == "true"


def test_layer_chart_is_worst_first_on_whole_decades() -> None:
    evidence = make_evidence(layers=60)
    chosen = make_ladder(evidence, chosen="int8-float3").rung("int8-float3").candidate
    shuffled = replace(evidence, sensitivity=tuple(random.Random(3).sample(evidence.sensitivity, 60)))
    chart = layer_chart(shuffled, chosen)
    assert chart is not None
    assert len(chart.bars) == SHOWN
    assert chart.more == 60 - SHOWN
    values = [item.probe.kl for item in chart.bars]
    assert values == sorted(values, reverse=True)
    assert 10.0**chart.low_exponent <= values[-1] <= values[0] <= 10.0**chart.high_exponent
    for item in chart.bars:
        expected = (math.log10(item.probe.kl) - chart.low_exponent) / chart.decades
        assert item.fraction == pytest.approx(max(0.01, expected))


@pytest.mark.parametrize("kl", [0.0, -1e-9, math.inf])
def test_layer_chart_survives_values_without_a_logarithm(kl: float) -> None:
    evidence = replace(make_evidence(), sensitivity=(Sensitivity("a", "Conv", kl, 1.0),))
    chart = layer_chart(evidence, make_ladder().rung("int8").candidate)
    assert chart is not None
    assert chart.bars[0].fraction == (1.0 if kl > 0 else 0.0)


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Contrast ratio, WCAG 2.2."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_colours_have_contrast_on_screen_in_the_dark_and_on_paper(scheme: int) -> None:
    style = files("shoestring.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
    block = [found for found in re.findall(r":root \{(.*?)\}", style, re.DOTALL) if "--paper" in found][scheme]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for name in ("ink", "soft", "accent", "reject"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
        assert contrast(colours[name], colours["wash"]) >= 4.5, name
    assert contrast(colours["bar"], colours["paper"]) >= 3.0
