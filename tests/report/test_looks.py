"""The page in a real browser: on a phone and a desk, in the light and in the dark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from factory import make_evidence, make_ladder, make_manifest
from shoestring.report import render

if TYPE_CHECKING:
    Browser = Any

pytestmark = pytest.mark.browser

SCREENS = {"phone": (360, 800), "desk": (1200, 900)}
# Elements that stick out of the screen, those for screen readers alone left out.
# A phone's window grows with what sticks out, so the width is given.
SPILLED = """Array.from(document.body.querySelectorAll('*'))
  .filter(e => !e.closest('.hidden, .skip, thead, svg') && e.getBoundingClientRect().right > WIDTH + 0.5)
  .map(e => e.tagName + '.' + e.className)"""
# Pairs of plot labels whose true boxes, in the font the browser chose, share more than a pixel.
COLLISIONS = """(() => {
  const all = Array.from(document.querySelectorAll('.plot text.label')).map(e => e.getBoundingClientRect());
  const seen = all.filter(r => r.width > 0);
  return [seen.length, seen.flatMap((a, i) => seen.slice(i + 1).filter(b =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)).length];
})()"""


@pytest.fixture(scope="module")
def html() -> str:
    """A page with what breaks layouts: a layer's long name without a space, and a long rung's name."""
    evidence = make_evidence()
    long = replace(evidence.sensitivity[0], layer="/backbone" + "/features_12_conv_1_depthwise" * 6)
    evidence = replace(evidence, sensitivity=(long, *evidence.sensitivity[1:]))
    ladder = make_ladder(evidence, chosen="int8-float3")
    item = ladder.rejected[0]
    named = replace(item, candidate=replace(item.candidate, recipe=replace(item.candidate.recipe, name="int8" * 20)))
    ladder = replace(ladder, rejected=(named, *ladder.rejected[1:]))
    return render(make_manifest(evidence, ladder=ladder), evidence, size_bytes=15_500_000)


@pytest.fixture
def saved(html: str, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=np.float32)


def spilled(browser: Browser, width: int) -> list[str]:
    return browser.evaluate(SPILLED.replace("WIDTH", str(width)))


@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_is_drawn_in_both_schemes(browser: Browser, saved: Path, tmp_path: Path, screen: str) -> None:
    width, height = SCREENS[screen]
    seen = {}
    for scheme in ("light", "dark"):
        events = browser.open(saved, width=width, height=height, scheme=scheme)
        # A blocked style, a broken policy or a request would be logged here.
        assert [event for event in events if event.get("method") == "Log.entryAdded"] == []
        requested = [e["params"]["request"]["url"] for e in events if e.get("method") == "Network.requestWillBeSent"]
        assert requested == [saved.as_uri()]
        seen[scheme] = pixels(browser.screenshot(tmp_path / f"{screen}-{scheme}.png"))
        assert seen[scheme].shape == (height, width)
        assert seen[scheme].std() > 8, "the page looks empty"
        assert len(np.unique(seen[scheme])) > 50
    assert seen["light"].mean() > 200
    assert seen["dark"].mean() < 60


@pytest.mark.parametrize("width", [320, 360, 500, 740, 768, 890, 900, 1200])
def test_nothing_sticks_out_of_the_screen(browser: Browser, saved: Path, width: int) -> None:
    browser.open(saved, width=width, height=800, scheme="light")
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert spilled(browser, width) == []


def test_the_check_for_sticking_out_finds_what_does(browser: Browser, html: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.html"
    path.write_text(html.replace("<footer>", f"<footer><b class='n'>{'x' * 200}</b>"), encoding="utf-8")
    browser.open(path, width=360, height=800, scheme="light")
    assert spilled(browser, 360)


@pytest.mark.parametrize("screen", SCREENS)
def test_labels_of_the_plot_do_not_collide(browser: Browser, saved: Path, screen: str) -> None:
    width, height = SCREENS[screen]
    browser.open(saved, width=width, height=height, scheme="light")
    labels, collisions = browser.evaluate(COLLISIONS)
    assert labels == 7
    assert collisions == 0


def test_text_is_large_enough_on_a_phone(browser: Browser, saved: Path) -> None:
    browser.open(saved, width=360, height=800, scheme="light")
    smallest = browser.evaluate(
        "Math.min(...Array.from(document.querySelectorAll('.plot text')).map(e => e.getBoundingClientRect())"
        ".filter(r => r.width > 0).map(r => r.height))"
    )
    assert smallest >= 10
