"""Candidates on the runtimes of others, with runtimes whose answers, times and faults are known."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from shoestring.base.errors import EngineError, EngineFaultError, MissingExtraError, ModelError, UsageError
from shoestring.bundle import open_bundle
from shoestring.bundle.recheck import recheck_counts
from shoestring.convert.converted import Converted
from shoestring.device import Player
from shoestring.domain.budget import Budget
from shoestring.fitting import fit, ported, scouting, sessions, tried
from shoestring.runtimes import registry

BUDGET = Budget(max_drop=0.05, threads=1)
BOTH = ("onnxruntime", "litert", "ncnn")
KNOWN_MS = {"fp32@litert": 3.9, "int8@litert": 0.8, "int8-float1@litert": 0.9, "fp32@ncnn": 9.0, "int8@ncnn": 5.0}
FIRST_RUNS = 2  # of each guest: one look at each scout


class Guests:
    """Runtimes of others: ONNX Runtime under their names, with the faults that a test asks for.

    Attributes:
        faults: by runtime, what goes wrong: `load`, `refused`, or the number of runs after which it hangs.
        runs: by runtime.
    """

    def __init__(self) -> None:
        self.faults: dict[str, str | int] = {}
        self.runs: dict[str, int] = {}

    def load(self, name, path, threads):
        if self.faults.get(name) == "load":
            raise EngineFaultError(f"{name} with {path.name} crashed with SIGSEGV", "crashed")
        return Session(self, name, path, threads)

    def convert(self, runtime, model, precision):
        if self.faults.get(runtime) == "refused":
            raise ModelError("Einsum 'n7' cannot go; write it as MatMul")
        return Converted(model.read_bytes(), (f"written for {runtime}",))


class Session:
    def __init__(self, guests: Guests, name: str, path, threads: int) -> None:
        self.guests, self.name, self.kind = guests, name, "int8" if b"QuantizeLinear" in path.read_bytes() else "fp32"
        self.session = registry.get("onnxruntime").load(path, threads)
        self.inputs, self.outputs = self.session.inputs, self.session.outputs

    def run(self, feeds):
        runs = self.guests.runs[self.name] = self.guests.runs.get(self.name, 0) + 1
        fault = self.guests.faults.get(self.name)
        if isinstance(fault, int) and runs > fault:
            raise EngineFaultError(f"{self.name} did not answer within 30 s", "hung")
        return self.session.run(feeds)

    def time_block(self, runs, lead=0):
        return [KNOWN_MS.get(f"{self.kind}@{self.name}", {"fp32": 4.0, "int8": 1.0}[self.kind])] * runs

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def close(self):
        self.session.close()


@pytest.fixture
def guests(monkeypatch) -> Guests:
    made = Guests()
    known = registry.get

    def get(name):
        return known("onnxruntime") if name in tried.GUESTS else known(name)

    monkeypatch.setattr(registry, "get", get)
    monkeypatch.setattr(registry, "installed", lambda: BOTH)
    for module in (scouting.guarded, sessions.guarded):
        monkeypatch.setattr(module, "load", made.load)
    monkeypatch.setattr(ported, "convert_for", made.convert)
    for name, median in KNOWN_MS.items():
        monkeypatch.setitem(tiny.KNOWN_MS, name, median)
        monkeypatch.setitem(tiny.KNOWN_RSS_BYTES, name, 60_000_000)
    return made


def names(fitted) -> set[str]:
    return {row["candidate"] for row in fitted.rows()}


def note(fitted, words: str) -> str:
    (found,) = [one for one in fitted.notes if words in one]
    return found


def test_a_fast_runtime_gets_all_candidates_and_a_slow_one_only_the_plain(task, tmp_path, guests):
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=tmp_path)
    assert {name for name in names(fitted) if "@" in name} == set(KNOWN_MS)
    assert fitted.ladder.chosen == "int8@litert"
    said = note(fitted, "int8@ncnn takes")
    assert said == "int8@ncnn takes 5 ms, int8@litert 0.8 ms: no further candidates were made for ncnn"
    rung = fitted.ladder.rung("int8@litert")
    assert rung.certificate is not None and rung.certificate.runtime == "litert"
    assert "written for litert" in rung.candidate.notes
    fitted.save(tmp_path / "a.shoe")
    with open_bundle(tmp_path / "a.shoe") as bundle:
        recheck_counts(bundle)


def test_a_runtime_that_crashes_is_a_note_and_the_fit_goes_on(task, tmp_path, guests):
    guests.faults["litert"] = "load"
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=tmp_path)
    assert not any("litert" in name for name in names(fitted))
    said = [one for one in fitted.notes if "litert" in one]
    assert [one.partition(":")[0] for one in said] == [
        "fp32@litert was not tried further",
        "int8@litert was not tried further",
    ]
    assert all("crashed with SIGSEGV" in one for one in said)


def test_what_cannot_be_converted_is_named_with_what_would_do(task, tmp_path, guests):
    guests.faults["ncnn"] = "refused"
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=tmp_path)
    said = [one for one in fitted.notes if "ncnn" in one]
    assert said == [
        f"not converted for ncnn: {name}: Einsum 'n7' cannot go; write it as MatMul" for name in ("fp32", "int8")
    ]


@pytest.mark.parametrize("runs", [FIRST_RUNS, FIRST_RUNS + 4, FIRST_RUNS + 30])
def test_one_that_hangs_later_is_left_out_by_name_and_nothing_is_lost(task, tmp_path, guests, runs):
    whole = fit(task.model, task.data, budget=BUDGET, runtimes=("onnxruntime",), cache=tmp_path)
    guests.faults["litert"] = runs
    fitted = fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, cache=tmp_path)
    left_out = [one for one in fitted.notes if one.startswith("left out: ")]
    assert left_out and all("litert did not answer within 30 s" in one for one in left_out)
    assert names(fitted) >= names(whole)
    assert fitted.ladder.chosen in names(fitted) and recheck_of(fitted, tmp_path)


def recheck_of(fitted, folder) -> bool:
    fitted.save(folder / "b.shoe")
    with open_bundle(folder / "b.shoe") as bundle:
        recheck_counts(bundle)
    return True


def test_a_fault_of_the_home_runtime_ends_the_fit(guests):
    with pytest.raises(EngineError, match="it broke"), sessions.blame("int8", "onnxruntime"):
        raise EngineError("it broke")


def test_the_device_replays_and_answers(task, tmp_path, guests):
    fit(task.model, task.data, budget=BUDGET, runtimes=BOTH, out=tmp_path / "c.shoe", cache=tmp_path)
    with open_bundle(tmp_path / "c.shoe") as bundle, Player(bundle) as player:
        assert player.rung.name == "int8@litert" and player.replayed > 0
        (answer,) = player.classify([np.full((16, 16, 3), (200, 60, 60), np.uint8)])
        assert answer.label == "red"


@pytest.mark.parametrize(
    ("times", "followed"),
    [
        ({"a@x": 1.0, "a@y": 1.4, "a": 1.2}, {"a@x", "a@y"}),
        ({"a@x": 1.0, "a@y": 1.6, "a": 1.2}, {"a@x"}),
        ({"a@x": 3.0, "a@y": 1.6, "a": 1.0}, set()),
        ({"a@x": None, "a@y": None, "a": None}, set()),
        ({"a@x": None, "a@y": 1.0, "a": None}, {"a@y"}),
    ],
)
def test_who_is_followed(times, followed):
    found, said = ported.follow(times, ["a@x", "a@y"])
    assert found == followed
    assert len(said) == sum(times[name] is not None and name not in followed for name in ("a@x", "a@y"))


def test_a_runtime_that_is_not_installed_is_refused_when_asked_for_and_left_out_otherwise(monkeypatch):
    monkeypatch.setattr(tried, "DEFAULT", tried.RUNTIMES)
    monkeypatch.setattr(registry, "installed", lambda: ("onnxruntime", "native"))
    assert tried.check_runtimes(None) == ("onnxruntime", "native")

    class Missing:
        def version(self):
            raise MissingExtraError("openvino", "openvino")

    known = registry.get
    monkeypatch.setattr(registry, "get", lambda name: Missing() if name == "openvino" else known(name))
    with pytest.raises(MissingExtraError):
        tried.check_runtimes(("onnxruntime", "openvino"))
    with pytest.raises(UsageError, match="lack onnxruntime"):
        tried.check_runtimes(("litert",))
