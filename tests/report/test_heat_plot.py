"""The picture of a run: places agree with the numbers, labels cover nothing, a file stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from shoestring.base.errors import UsageError
from shoestring.report.heat_plot import NARROW, WIDE, HeatPoint, heat_file, heat_plot, thinned
from shoestring.report.heat_text import heat_text
from shoestring.report.scatter import Shape

POINTS = [
    HeatPoint(float(at), 40 + 45 * at / 1800, 38 + 40 * at / 1800, 42 + 50 * at / 1800, 1.0 if at < 1200 else 0.6)
    for at in range(1801)
]
SAID = {"ambient_celsius": 25.0, "limits": (80.0, 85.0)}


def places(drawn: str, css_class: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(drawn)
    return [
        [tuple(map(float, pair.split(","))) for pair in found.get("points", "").split()]  # type: ignore[misc]
        for found in root.iter()
        if found.get("class") == css_class
    ]


@pytest.mark.parametrize("shape", [WIDE, NARROW])
def test_curves_fill_the_width_and_stay_in_the_frame(shape: Shape) -> None:
    heat, clock = places(heat_plot(POINTS, shape=shape, **SAID), "curve")
    for curve in (heat, clock):
        assert curve[0][0] == pytest.approx(shape.frame.left)
        assert curve[-1][0] == pytest.approx(shape.frame.right)
        assert all(shape.frame.top <= y <= shape.frame.bottom for _, y in curve)
    assert max(y for _, y in heat) < min(y for _, y in clock)


def test_temperature_rises_on_paper_as_in_numbers_and_within_its_band() -> None:
    drawn = heat_plot(POINTS, **SAID)
    heat, _ = places(drawn, "curve")
    band = places(drawn, "band")[0]
    ys = [y for _, y in heat]
    assert ys == sorted(ys, reverse=True)
    kelvin = (ys[0] - ys[-1]) / 45
    assert (ys[0] - ys[len(ys) // 2]) / kelvin == pytest.approx(22.5, abs=0.3)
    above, below = band[: len(heat)], list(reversed(band[len(heat) :]))
    assert all(up[1] <= at[1] <= down[1] for up, at, down in zip(above, heat, below, strict=True))


def test_lines_lie_at_their_temperatures() -> None:
    root = ElementTree.fromstring(heat_plot(POINTS, **SAID))
    lines = {
        kind: [float(e.get("y1", "")) for e in root.iter() if e.get("class") == kind] for kind in ("limit", "grid")
    }
    words = {e.text: float(e.get("y", "")) for e in root.iter() if e.get("class") == "tick-text"}
    # Ticks are labelled 4 below their line.
    assert min(lines["limit"]) < words["80"] - 4 < max(lines["limit"]) + 0.01
    assert max(lines["limit"]) == pytest.approx(words["80"] - 4, abs=0.02)


@pytest.mark.parametrize("limits", [(80.0, 81.0, 82.0), (26.0,), ()])
def test_labels_never_cover_each_other(limits: tuple[float, ...]) -> None:
    root = ElementTree.fromstring(heat_plot(POINTS, ambient_celsius=25.0, limits=limits))
    ys = sorted(float(found.get("y", "")) for found in root.iter() if found.get("class") == "label")
    assert ys
    assert all(later - earlier >= 15 for earlier, later in pairwise(ys))
    assert len(places(heat_plot(POINTS, ambient_celsius=25.0, limits=limits), "curve")) == 2


def test_a_limit_far_above_does_not_flatten_the_curve() -> None:
    assert heat_plot(POINTS, ambient_celsius=25.0, limits=(200.0,)) == heat_plot(
        POINTS, ambient_celsius=25.0, limits=()
    )


def test_the_description_says_when_the_clock_falls() -> None:
    assert "The clock first falls after 1200 s." in heat_plot(POINTS, **SAID)
    assert "The clock stays full." in heat_plot([replace(point, clock=1.0) for point in POINTS], **SAID)


def test_thinning_keeps_a_short_spike() -> None:
    spiked = [replace(p, high=150.0, low=10.0, clock=0.2) if p.seconds == 901 else p for p in POINTS]
    kept = thinned(spiked, 100)
    assert len(kept) <= 101
    assert max(p.high for p in kept) == 150.0
    assert min(p.low for p in kept) == 10.0
    assert min(p.clock for p in kept) == 0.2
    assert kept[-1] == spiked[-1]


def test_a_file_stands_alone() -> None:
    written = heat_file(POINTS, **SAID)
    root = ElementTree.fromstring(written.encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in written
    assert not re.search(r"href|url\(|<script|@import", written)
    used = {name for e in root.iter() for name in e.get("class", "").split()}
    for name in ("band", "curve", "limit", "grid", "axis", "original-line", "paper"):
        assert name in used
        assert f".{name}" in written


@pytest.mark.parametrize("draw", [heat_plot, heat_file, heat_text])
def test_what_cannot_be_drawn_is_refused(draw) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="1 points"):
        draw(POINTS[:1], **SAID)
    with pytest.raises(UsageError, match="do not rise"):
        draw([POINTS[0], POINTS[2], POINTS[1]], **SAID)


@pytest.mark.parametrize("width", [24, 72, 130])
def test_characters_rise_with_the_temperature_and_keep_to_the_width(width: int) -> None:
    lines = heat_text(POINTS, width=width, height=12, **SAID).split("\n")
    assert all(len(line) <= width for line in lines)
    stars = [(row, line.index("*")) for row, line in enumerate(lines) if "*" in line]
    assert stars == sorted(stars, key=lambda star: -star[1])
    clock = next(line for line in lines if line.startswith(" clock"))
    assert clock.count("#") == pytest.approx((width - 7) * 2 / 3, abs=1)
    assert set(clock[7:]) == {"#", "6"}
    assert lines[-1].endswith("30 min")
    assert any("-" in line for line in lines) and any("_" in line for line in lines)


def test_few_samples_fill_every_column() -> None:
    text = heat_text([POINTS[0], POINTS[900], POINTS[1800]], width=60, height=8, **SAID)
    assert sum(line.count("*") for line in text.split("\n")) == 53


def test_a_plot_of_no_size_is_refused() -> None:
    with pytest.raises(UsageError, match="10 x 14"):
        heat_text(POINTS, width=10, **SAID)
