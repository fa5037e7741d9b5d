"""Which candidates this machine may score for another chip."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shoestring.bundle import open_bundle
from shoestring.bundle.recheck import recheck_counts
from shoestring.compress.scheme import scheme_named
from shoestring.domain.budget import Budget
from shoestring.fitting import fit, racing
from shoestring.fitting.soundness import unsound

OLD, NEW, ARM = ("sse4_1", "avx2"), ("avx2", "avx512_vnni"), ("asimd",)


def bench(isa: tuple[str, ...], scheme: str, chip: str | None) -> Any:
    aim = None if chip is None else SimpleNamespace(chip=chip)
    return SimpleNamespace(machine=SimpleNamespace(isa=isa), scheme=scheme_named(scheme), aim=aim)


def artefact(precision: str, runtime: str) -> Any:
    return SimpleNamespace(recipe=SimpleNamespace(precision=precision), runtime=runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["int8", "int8-mixed"])
def test_saturated_products_tell_nothing_of_an_arm_chip(runtime, precision):
    said = unsound(bench(OLD, "s8s8", "raspberry-pi-4b-4gb"), artefact(precision, runtime))
    assert said is not None and runtime in said and "not on raspberry-pi-4b-4gb" in said


@pytest.mark.parametrize(
    ("isa", "scheme", "chip", "precision", "runtime"),
    [
        (NEW, "s8s8", "pi", "int8", "onnxruntime"),  # VNNI does not saturate
        (ARM, "s8s8", "pi", "int8", "onnxruntime"),
        (OLD, "u8s7", "n100", "int8", "onnxruntime"),  # weights of 7 bits cannot
        (OLD, "s8s8", None, "int8", "onnxruntime"),  # this machine's own answers are what they are
        (OLD, "s8s8", "pi", "fp32", "onnxruntime"),
        (OLD, "s8s8", "pi", "int8", "native"),
        (OLD, "s8s8", "pi", "int8", "litert"),
        (OLD, "s8s8", "pi", "int8", "ncnn"),
    ],
)
def test_all_others_are_scored(isa, scheme, chip, precision, runtime):
    assert unsound(bench(isa, scheme, chip), artefact(precision, runtime)) is None


def test_what_cannot_be_scored_is_rejected_with_the_reason(task, warm, tmp_path, monkeypatch):
    monkeypatch.setattr(racing, "unsound", lambda _, one: "cannot be scored here: why" if one.name == "int8" else None)
    fitted = fit(task.model, task.data, budget=Budget(max_drop=0.05), out=tmp_path / "a.shoe", cache=warm)
    rows = {row["candidate"]: row for row in fitted.rows()}
    assert (rows["int8"]["status"], rows["int8"]["reason"]) == ("rejected", "cannot be scored here: why")
    assert fitted.ladder.chosen != "int8"
    with open_bundle(tmp_path / "a.shoe") as bundle:
        recheck_counts(bundle)
