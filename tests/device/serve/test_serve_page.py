"""The live page in a real browser: a phone and a desk, light and dark, well and in trouble."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving import Server
from shoestring.device.serve.pages import STATIC
from shoestring.device.serve.tokens import make_token

Browser = Any
Serve = Callable[..., Server]

pytestmark = pytest.mark.browser

SCREENS = {"phone": (360, 800), "desk": (1280, 900)}
SPILLED = """Array.from(document.body.querySelectorAll('*'))
  .filter(e => !e.closest('.hidden, .skip, svg') && e.getBoundingClientRect().right > WIDTH + 0.5)
  .map(e => e.tagName + '.' + e.className)"""
ANSWERS = """Number(Array.from(document.querySelectorAll('#board div'))
  .find(e => /^Answers/.test(e.textContent)).lastChild.textContent)"""
FOCUSED = """[document.activeElement.id || document.activeElement.className || document.activeElement.textContent,
  getComputedStyle(document.activeElement).outlineStyle, getComputedStyle(document.activeElement).outlineWidth]"""
# Contrast of every visible piece of text with what lies behind it (WCAG 2.2, 1.4.3), in canvas colours.
CONTRAST = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return rgb(getComputedStyle(document.documentElement).backgroundColor); };
  const worst = {ratio: 99, who: ''};
  let count = 0;
  for (const e of document.body.querySelectorAll('*')) {
    const own = Array.from(e.childNodes).some(n => n.nodeType === 3 && n.data.trim());
    if (!own || e.closest('.hidden, .skip, [hidden]') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const a = light(rgb(e.closest('svg') ? style.fill : style.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    count += 1;
    const who = e.tagName + '#' + e.id + ' ' + e.textContent.slice(0, 40);
    if (ratio < worst.ratio) Object.assign(worst, {ratio, who});
  }
  return [count, worst.ratio, worst.who];
})()"""


def wait(browser: Browser, expression: str, seconds: float = 60.0) -> Any:
    """The value of an expression in the page, once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := browser.evaluate(expression)):
        assert time.monotonic() < deadline, f"never true: {expression}"
        time.sleep(0.05)
    return value


def look(browser: Browser, server: Server, screen: str = "phone", scheme: str = "light", path: str = "/") -> None:
    width, height = SCREENS[screen]
    browser.open("about:blank", width=width, height=height, scheme=scheme)  # what the last page logs is not ours
    browser.open(server.url + path, width=width, height=height, scheme=scheme)
    if path.startswith("/#") or path == "/":
        wait(browser, "!document.getElementById('main').hidden")


def text(browser: Browser, identifier: str) -> str:
    return browser.evaluate(f"document.getElementById({json.dumps(identifier)}).textContent")


def complaints(browser: Browser) -> list[Any]:
    """What the browser logged: blocked by policy, not found, exceptions."""
    browser.evaluate("1")
    return [e for e in browser._events if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("scene", ["well", "troubled", "requests"])
def test_the_page_is_drawn_in_both_schemes(
    browser: Browser, serve: Serve, tmp_path: Path, scene: str, screen: str
) -> None:
    server = serve({}, "--scene", scene)
    brightness = {}
    for scheme in ("light", "dark"):
        look(browser, server, screen, scheme)
        if scene != "requests":
            wait(browser, "document.getElementById('picture').naturalWidth === 640")
        assert browser.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen][0]
        assert browser.evaluate(SPILLED.replace("WIDTH", str(SCREENS[screen][0]))) == []
        count, ratio, who = browser.evaluate(CONTRAST)
        assert count > 20
        assert ratio >= 4.5, who
        with Image.open(browser.screenshot(tmp_path / f"{scheme}.png", whole=True)) as image:
            seen = np.asarray(image.convert("L"), np.float32)
        assert seen.std() > 8
        brightness[scheme] = float(np.median(seen))
        assert complaints(browser) == []
    assert brightness["light"] > 200
    assert brightness["dark"] < 60


def test_the_check_of_contrast_finds_grey_on_grey(browser: Browser, serve: Serve) -> None:
    look(browser, serve({}, "--scene", "requests"))
    browser.evaluate("document.getElementById('rung').style.color = '#999'")
    assert browser.evaluate(CONTRAST)[1] < 4.5


@pytest.mark.parametrize("width", [320, 390, 600, 740, 760, 1024])
def test_nothing_sticks_out(browser: Browser, serve: Serve, width: int) -> None:
    server = serve({}, "--scene", "hostile")
    browser.open(server.url, width=width, height=800, scheme="light")
    wait(browser, "!document.getElementById('main').hidden")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(SPILLED.replace("WIDTH", str(width))) == []


def test_what_goes_on_is_told_in_words_too(browser: Browser, serve: Serve) -> None:
    server = serve({}, "--scene", "well")
    look(browser, server)
    assert text(browser, "rung") == "int8-small:int8@native"
    assert "the deadline is 200 ms" in text(browser, "why")
    assert text(browser, "status-words") == "Running"
    assert "limit 80 °C, 78.4 °C in 1 min" in text(browser, "celsius-more")
    assert re.match(
        r"Between 5\d\.\d and 7\d\.\d °C in the last .* 78\.4 expected in 1 min; the limit is 80\.0\.",
        text(browser, "heat-words"),
    )
    assert "half took at most" in text(browser, "times-words")
    for plot in ("heat", "power", "times"):
        label = browser.evaluate(f"document.querySelector('#{plot} svg[role=img]').getAttribute('aria-label')")
        assert text(browser, f"{plot}-words") in label
    wait(browser, "document.getElementById('picture').alt.endsWith('2 × person, 1 × dog')")
    rows = browser.evaluate("Array.from(document.querySelectorAll('#decisions li'), e => e.textContent)")
    assert len(rows) == 3
    assert rows[0].endswith("99 of 100 answers took 210 ms, the deadline is 200 ms")
    assert browser.evaluate("document.getElementById('decisions').getAttribute('aria-live')") == "polite"


def test_pictures_and_figures_go_on_changing_and_the_picture_can_be_paused(browser: Browser, serve: Serve) -> None:
    server = serve({}, "--scene", "well")
    look(browser, server)
    first = wait(browser, "document.getElementById('picture').src")
    wait(browser, f"document.getElementById('picture').src !== {json.dumps(first)}")
    before = browser.evaluate(ANSWERS)
    wait(browser, f"{ANSWERS} > {before}")
    browser.evaluate("document.getElementById('pause').click()")
    assert browser.evaluate("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    time.sleep(1.0)
    held = browser.evaluate("document.getElementById('picture').src")
    time.sleep(1.0)
    assert browser.evaluate("document.getElementById('picture').src") == held


def test_every_trouble_is_said(browser: Browser, serve: Serve) -> None:
    look(browser, serve({}, "--scene", "troubled"))
    wait(browser, "document.querySelectorAll('#troubles li').length === 3")
    said = text(browser, "troubles")
    assert "Engine: crashed (signal 11); next try in 4 s" in said
    assert "Camera: no new picture" in said
    assert "Temperature: sensor impossible (it said -89)" in said
    assert text(browser, "status-words") == "3 things are wrong"
    assert text(browser, "celsius") == "not known"
    assert "taken for hot" in text(browser, "celsius-more")
    assert re.match(r"Old: this is \d+ s ago", text(browser, "old"))


def test_a_camera_that_falls_silent_is_said(browser: Browser, serve: Serve) -> None:
    look(browser, serve({}, "--scene", "silent"))
    wait(browser, "!document.getElementById('old').hidden")
    assert browser.evaluate("document.getElementById('frame').classList.contains('stale')")


def test_a_lost_connection_is_said_and_found_again(browser: Browser, serve: Serve) -> None:
    server = serve({}, "--scene", "requests")
    look(browser, server)
    wait(browser, "document.getElementById('status-words').textContent === 'Running'")
    server.end()
    wait(browser, "/^Connection lost/.test(document.getElementById('status-words').textContent)")
    assert browser.evaluate(CONTRAST)[1] >= 4.5
    again = serve({"port": server.port}, "--scene", "requests")
    assert again.port == server.port
    wait(browser, "document.getElementById('status-words').textContent === 'Running'")


def test_names_from_the_device_are_never_markup(browser: Browser, serve: Serve) -> None:
    look(browser, serve({}, "--scene", "hostile"))
    assert text(browser, "name").startswith("<img src=x onerror=alert(1)>")
    assert text(browser, "rung") == "<script>alert(2)</script>"
    assert browser.evaluate("document.querySelectorAll('main script, h1 img').length") == 0
    assert complaints(browser) == []


def test_a_token_is_asked_for_and_stays_out_of_the_address(browser: Browser, serve: Serve) -> None:
    token, line = make_token("phone")
    server = serve({"tokens": [line.split()]}, "--scene", "well")
    browser.open(server.url, width=360, height=800, scheme="light")
    wait(browser, "!document.getElementById('token-form').hidden")
    assert browser.evaluate("document.getElementById('main').hidden")
    assert browser.evaluate("document.activeElement.id") == "token"
    for typed, wanted in (("wrong", "That token is not known here"), (token, "Running")):
        browser.evaluate(f"document.getElementById('token').value = {json.dumps(typed)}")
        browser.evaluate("document.querySelector('#token-form button').click()")
        wait(browser, f"document.getElementById('status-words').textContent === {json.dumps(wanted)}")
    wait(browser, "document.getElementById('picture').naturalWidth === 640")
    browser.evaluate("sessionStorage.clear()")
    browser.open("about:blank", width=360, height=800, scheme="light")
    look(browser, server, path=f"/#token={token}")
    assert token not in browser.evaluate("location.href")


def test_it_works_with_a_keyboard(browser: Browser, serve: Serve) -> None:
    look(browser, serve({}, "--scene", "well"))
    wait(browser, "!document.getElementById('picture-figure').hidden")
    reached = []
    for _ in range(4):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        who, *outline = browser.evaluate(FOCUSED)
        reached.append(who)
        assert outline == ["solid", "3px"], reached
    assert reached == ["skip", "pause", "decisions", "Routes"]
    names = browser.call("Accessibility.getFullAXTree")["nodes"]
    found = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in names if not n.get("ignored")}
    assert ("button", "Pause picture") in found
    assert ("heading", "Decisions") in found
    assert any(role == "image" and name.startswith("Temperature over") for role, name in found)


def test_whoever_wants_less_motion_gets_a_still_picture(browser: Browser, serve: Serve) -> None:
    server = serve({}, "--scene", "well")
    width, height = SCREENS["phone"]
    browser.open(server.url, width=width, height=height, scheme="light")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    browser.call("Page.reload")
    time.sleep(0.5)
    wait(
        browser,
        "!document.getElementById('main').hidden && document.getElementById('pause').textContent === 'Picture paused'",
    )
    browser.call("Emulation.setEmulatedMedia", features=[])


def test_the_pages_fetch_nothing_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        if path.suffix in (".html", ".css", ".js"):
            found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"']*", path.read_text())
            assert [one for one in found if "www.w3.org/2000/svg" not in one] == [], path.name
