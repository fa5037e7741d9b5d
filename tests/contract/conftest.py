"""Each test of this folder runs on each runtime that is installed here, and no engine may write to our streams."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import pytest

from runtime_forms import FORMS, Form
from shoestring.base.errors import EngineError
from shoestring.runtimes import registry


@dataclass(frozen=True)
class Case:
    """A runtime with its form of the tiny model."""

    name: str
    form: Form
    runtime: object = field(repr=False)
    model: bytes = field(repr=False)

    def load(self, threads: int = 1):
        return self.runtime.load(self.model, threads)

    def refusal(self, session, given) -> EngineError:
        with pytest.raises(EngineError) as caught:
            session.run(given)
        assert "\n" not in caught.value.message
        return caught.value


@pytest.fixture(params=registry.names())
def case(request) -> Case:
    name = request.param
    if name not in registry.installed():
        pytest.skip(f"the runtime {name} is not installed")
    return Case(name, FORMS[name], registry.get(name), FORMS[name].make())


@pytest.fixture(autouse=True)
def quiet(capfd):
    """What an engine has to say is in its error; nothing goes to stdout or stderr, not even from its C code."""
    yield
    ctypes.CDLL(None).fflush(None)  # the C library keeps what it prints until its buffer is full
    assert capfd.readouterr() == ("", ""), "an engine must not write to our streams"
