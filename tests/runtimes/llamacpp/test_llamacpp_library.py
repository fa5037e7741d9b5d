"""The guards around the C functions: each is shown a library that is wrong in one way."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from shoestring.base.errors import EngineError
from shoestring.runtimes.llamacpp import library
from shoestring.runtimes.llamacpp.library import SIGNATURES, Library, Parameters, check_defaults, open_library


def standing_in(words: np.ndarray) -> SimpleNamespace:
    """A library whose functions do nothing, but for the default context parameters."""
    functions = {name: _Function(None) for name in SIGNATURES}
    functions["llama_context_default_params"] = _Function(
        Parameters.from_buffer_copy(np.resize(words.astype(np.int32), library.STRUCTURE_BYTES // 4).tobytes())
    )
    return SimpleNamespace(**functions)


class _Function:
    """Takes anything and answers one thing; has the attributes that ctypes functions have."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __call__(self, *_: object) -> object:
        return self.answer


def known() -> np.ndarray:
    words = np.zeros(256, np.int32)
    for place, value in library.DEFAULTS.items():
        words[place] = value
    return words


def test_the_installed_one_passes_every_guard() -> None:
    opened = open_library()
    assert opened.named.startswith("xllamacpp ")
    words = np.frombuffer(bytes(opened.context_parameters(300, 64)), np.int32)
    assert words[:4].tolist() == [300, 64, 64, 1]


def test_a_stand_in_of_the_known_form_passes() -> None:
    Library(standing_in(known()), "stand-in 1")


@pytest.mark.parametrize("name", ["llama_decode", "llama_get_logits", "llama_context_default_params"])
def test_a_missing_function_is_refused_by_name(name: str) -> None:
    functions = standing_in(known())
    delattr(functions, name)
    with pytest.raises(EngineError, match=rf"stand-in 2.*{name} is missing"):
        Library(functions, "stand-in 2")


@pytest.mark.parametrize("place", sorted(library.DEFAULTS))
def test_other_defaults_are_refused_by_their_place(place: int) -> None:
    words = known()
    words[place] += 1
    with pytest.raises(EngineError, match=f"number {place} of the default context parameters"):
        check_defaults(words, "stand-in 3")
    with pytest.raises(EngineError, match="stand-in 3"):
        Library(standing_in(words), "stand-in 3")


def test_a_processor_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.platform, "machine", lambda: "riscv64")
    with pytest.raises(EngineError, match="riscv64"):
        Library(standing_in(known()), "stand-in 4")
