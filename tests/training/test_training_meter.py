"""The real meter: a student in 8 bits, timed on this machine."""

from __future__ import annotations

from typing import Any

import pytest

import nets
from shoestring.base.errors import MissingExtraError
from shoestring.chips.host import this_machine
from shoestring.compress.scheme import scheme_for
from shoestring.native import compiling
from training import students

students.torch_or_skip()

from shoestring.training import meter  # noqa: E402


def test_a_real_latency_is_measured_and_a_missing_compiler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: Any, **__: Any) -> None:
        raise MissingExtraError("ziglang", "native")

    monkeypatch.setattr(compiling, "compile_library", no_compiler)
    machine, said = this_machine(), []
    clock = meter.RealMeter([nets.images(4)], scheme_for(machine.isa), machine, 1, said.append, 0.02)
    assert 0 < clock(students.wide_net(blocks=1)) < 1000
    assert len(said) == 1
    assert "no native program" in said[0]
    assert "ziglang" in said[0]


def test_the_faster_runtime_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    from shoestring.costmodel.measure import Measured
    from shoestring.domain.cost import Cost, Timing

    asked: list[Measured] = []

    def known(artefacts: list[Measured], *_: Any, **__: Any) -> dict[str, Cost]:
        asked.extend(artefacts)
        times = {meter.HOME: 3.0, meter.NATIVE: 2.0}
        return {
            one.name: Cost((Timing(1, times[one.name], 1.0, 4.0, 9, 1.0, 1.0, 1.0),), 1, one.size_bytes)
            for one in artefacts
        }

    def compiled(model: Any, _name: str, _target: Any, _threads: int, out: Any) -> Any:
        out.write_bytes(b"a program")
        return type("Compiled", (), {"path": out})

    monkeypatch.setattr(meter, "measure", known)
    monkeypatch.setattr(compiling, "compile_library", compiled)
    machine = this_machine()
    clock = meter.RealMeter([nets.images(4)], scheme_for(machine.isa), machine, 1, pytest.fail)
    assert clock(students.wide_net(blocks=1)) == 2.0
    assert [one.runtime for one in asked] == [meter.HOME, meter.NATIVE]
