"""Golden texts: a rung that answers as it did passes, and whatever answers otherwise does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from factory import npy_bytes, swap_blob
from real_writers import make_real_parts
from shoestring.base import canonical
from shoestring.base.errors import BundleError, GoldenError, SlotError, UsageError
from shoestring.bundle import open_bundle, pack
from shoestring.device.language import golden as golden_module
from shoestring.device.language.golden import golden_texts, replay_texts
from shoestring.device.language.replaying import replay_rung
from shoestring.device.slots.replaying import ReplayLimits, replay_golden
from text_bundles import RUNGS, make_writer_parts

PARTS = make_writer_parts()


class Echo:
    """An engine that answers as the golden outputs say, give or take."""

    def __init__(self, parts: Any, name: str, off: float = 0.0, at: int | None = None) -> None:
        self.parts, self.name, self.off, self.at = parts, name, off, at

    def tokenize(self, texts: Any, *, add_start: bool = False) -> list[list[int]]:
        assert add_start
        return [[self.parts.golden.texts.index(text)] for text in texts]

    def score(self, tokens: list[int]) -> np.ndarray:
        (place,) = tokens
        row = np.full((1, 300), -20.0, np.float32)
        row[0, list(self.parts.golden.tokens[place])] = self.parts.golden_outputs[self.name][place]
        if self.at in (None, place):
            row[0, self.parts.golden.tokens[place][-1]] += self.off
        return row


@pytest.fixture
def bundle(tmp_path):
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as opened:
        yield opened


@pytest.mark.parametrize("off", [0.0, 0.049, -0.049])
def test_what_answers_alike_passes(bundle, off):
    rung = bundle.manifest.ladder.rung(RUNGS[0])
    assert replay_texts(bundle, rung, Echo(PARTS, RUNGS[0], off), "here 1") == 3


@pytest.mark.parametrize(("off", "words"), [(0.06, "off by 0.06"), (float("nan"), "off by inf"), (-1.0, "off by 1 ")])
def test_what_answers_otherwise_does_not(bundle, off, words):
    rung = bundle.manifest.ladder.rung(RUNGS[0])
    with pytest.raises(GoldenError, match=words) as caught:
        replay_texts(bundle, rung, Echo(PARTS, RUNGS[0], off, at=1), "here 1")
    assert "1 of 3 golden texts; worst: text 2" in caught.value.message
    assert "made on llamacpp 2026.10 with avx2, avx_vnni, fma; here here 1" in caught.value.message


def test_a_replay_that_forgets_numbers_that_are_none_would_be_caught(bundle, monkeypatch):
    """The saboteur compares with `>`, which no NaN ever is."""
    rung = bundle.manifest.ladder.rung(RUNGS[0])
    monkeypatch.setattr(golden_module.np, "abs", lambda values: np.nan_to_num(values, nan=0.0))
    assert replay_texts(bundle, rung, Echo(PARTS, RUNGS[0], float("nan")), "here 1") == 3


def golden_with(tmp_path, change: Callable[[dict[str, Any]], object]):
    plain = json.loads(canonical.encode(PARTS.golden))
    change(plain)
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.golden.inputs, canonical.encode(plain))
    pack(tmp_path / "b.shoe", manifest, blobs)
    return open_bundle(tmp_path / "b.shoe")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: g["texts"].pop(), "without as many lists"),
        (lambda g: g.pop("tokens"), "without as many lists"),
        (lambda g: (g["texts"].clear(), g["tokens"].clear()), "0 golden texts"),
        (lambda g: (g["texts"].extend(["a"] * 40), g["tokens"].extend([[1, 2]] * 40)), "43 golden texts"),
        (lambda g: g["tokens"][0].pop(), "as many for each"),
        (lambda g: [one.clear() for one in g["tokens"]], "as many for each"),
        (lambda g: g["tokens"][0].__setitem__(0, 300), "outside 0 to 299"),
        (lambda g: g["tokens"][0].__setitem__(0, -1), "outside 0 to 299"),
        (lambda g: g["texts"].__setitem__(0, ""), "0 characters"),
        (lambda g: g["texts"].__setitem__(0, "a" * 5_000), "5000 characters"),
        (lambda g: g.__setitem__("more", 1), "unknown key"),
    ],
)
def test_unsound_golden_texts_are_refused(tmp_path, change, words):
    with golden_with(tmp_path, change) as bundle, pytest.raises(BundleError, match=words):
        golden_texts(bundle)


def test_outputs_that_do_not_fit_are_refused(tmp_path):
    name = RUNGS[0]
    short = npy_bytes(PARTS.golden_outputs[name][:2])
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.golden.outputs[name], short)
    pack(tmp_path / "b.shoe", manifest, blobs)
    with open_bundle(tmp_path / "b.shoe") as bundle, pytest.raises(BundleError, match="3 golden texts and 2 outputs"):
        replay_texts(bundle, bundle.manifest.ladder.rung(name), Echo(PARTS, name), "here 1")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    parts = make_real_parts(folder)
    pack(folder / "a.shoe", parts.manifest, parts.blobs)
    return parts, folder


def test_rungs_replay_in_processes_of_their_own(real, tmp_path):
    _, folder = real
    with open_bundle(folder / "a.shoe") as bundle:
        for rung in bundle.manifest.ladder.rungs:
            assert replay_rung(bundle, rung, threads=1, folder=tmp_path) == 3


def test_another_model_in_a_rungs_place_is_seen(real, tmp_path):
    """The 4-bit file under the name of the 8-bit rung, every hash mended: only its answers tell."""
    parts, _ = real
    low, high = parts.models[RUNGS[0]], parts.manifest.ladder.rung(RUNGS[1]).candidate.artefact_sha256
    manifest, blobs = swap_blob(parts, high, low)
    rungs = tuple(replace(one, kl_certificate=None) for one in manifest.ladder.rungs)
    manifest = replace(manifest, ladder=replace(manifest.ladder, rungs=rungs))
    pack(tmp_path / "b.shoe", manifest, blobs)
    with open_bundle(tmp_path / "b.shoe") as bundle, pytest.raises(GoldenError, match="answers otherwise here"):
        replay_rung(bundle, bundle.manifest.ladder.rung(RUNGS[1]), threads=1, folder=tmp_path / "models")


def test_activation_replays_texts_too(real, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path))
    parts, folder = real
    with open_bundle(folder / "a.shoe") as bundle:
        assert replay_golden(bundle, (RUNGS[1],), ReplayLimits(seconds=60.0)) == (RUNGS[0], RUNGS[2])
    junk = {name: b"GGUF" + bytes(3_000) + name.encode() for name in RUNGS}
    broken = make_writer_parts(models=junk, transformer=parts.manifest.generation.transformer)
    pack(tmp_path / "c.shoe", broken.manifest, broken.blobs)
    with open_bundle(tmp_path / "c.shoe") as bundle, pytest.raises(SlotError, match="does not answer here") as caught:
        replay_golden(bundle, (), ReplayLimits(seconds=60.0))
    assert caught.value.reason == "golden"


def test_a_bundle_of_images_has_no_golden_texts(bundle):
    from factory import make_bundle_parts

    images = make_bundle_parts()
    other = type("Other", (), {"manifest": images.manifest})()
    with pytest.raises(UsageError, match="writes no text"):
        replay_rung(other, bundle.manifest.ladder.rung(RUNGS[0]))
