"""Inputs that a fuzzer found worth keeping, each a case for good; and the targets themselves are not blind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import fuzz_targets
from fuzz_targets import CORPUS, TARGETS, seeds
from shoestring.base import canonical
from shoestring.importers.gguf import header as gguf
from shoestring.importers.safetensors import header as safetensors

CASES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
MAX_CORPUS_BYTES = 32 * 1024


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_kept_inputs_end_in_our_errors_or_are_sound(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_the_corpus_is_small_and_of_every_target() -> None:
    assert {path.parent.name for path in CASES} == set(TARGETS)
    assert sum(path.stat().st_size for path in CASES) < MAX_CORPUS_BYTES


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_are_sound(target: str) -> None:
    """What the fuzzer begins with goes all the way through."""
    assert all(TARGETS[target](data) for data in seeds(target))


def test_the_targets_see_a_reader_that_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saboteurs: places that nobody checks, and a second form of one envelope."""
    monkeypatch.setattr(safetensors, "_check_cover", lambda *_: None)
    with pytest.raises(AssertionError, match="do not cover"):
        fuzz_targets.safetensors_header(seeds("safetensors")[0] + b"x")
    placed = gguf._placed
    monkeypatch.setattr(gguf, "_placed", lambda infos, start, alignment, _: placed(infos, start, alignment, 2**40))
    with pytest.raises(AssertionError, match="outside the file"):
        fuzz_targets.gguf_header(seeds("gguf")[0][:-200])
    loose = seeds("envelope")[0].replace(b",", b", ")
    monkeypatch.setattr(canonical, "decode", _lenient)
    with pytest.raises(AssertionError, match="two forms"):
        fuzz_targets.envelope(loose)


def _lenient(data: bytes, kind: type, _: object) -> object:
    """JSON as most readers take it."""
    return msgspec.json.decode(data, type=kind)
