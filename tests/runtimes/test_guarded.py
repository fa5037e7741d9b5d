"""An engine may do what it likes in its process; ours goes on and says what it was. Saboteur: the null runtime."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from runtime_forms import FORMS, null_model
from shoestring.base.errors import EngineError, EngineFaultError, MissingExtraError, UsageError
from shoestring.base.resident import peak_of
from shoestring.runtimes import guard_process, guarded, registry
from shoestring.runtimes.guard_process import GuardProcess, Question
from shoestring.runtimes.guarded import GuardedRuntime, Limits
from shoestring.runtimes.null_faults import POISONS, poison

FEEDS = FORMS["null"].feeds()
LIMITS = Limits(load_s=60, run_s=30)
SHORT = Limits(load_s=60, run_s=1.0)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_for_end(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def fault_of(limits: Limits = LIMITS, runs: int = 3, path: Path | None = None, **faults: object) -> EngineFaultError:
    """The error of a null model with these faults, run so often."""
    model = null_model(**faults)
    if path is not None:
        path.write_bytes(model)
    with pytest.raises(EngineFaultError) as caught, guarded.load("null", path or model, 1, limits) as session:
        for _ in range(runs):
            session.run(FEEDS)
    assert "\n" not in caught.value.message
    assert caught.value.fault in EngineFaultError.FAULTS
    return caught.value


def test_answers_are_those_of_the_engine_in_our_own_process():
    with guarded.load("null", null_model(), 1) as there, registry.get("null").load(null_model(), 1) as here:
        assert (there.inputs, there.outputs) == (here.inputs, here.outputs)
        for length in (1, 3, 2):  # the files between the processes grow, and keep what is left of longer tensors
            feeds = FORMS["null"].feeds(length)
            for name, value in here.run(feeds).items():
                np.testing.assert_array_equal(there.run(feeds)[name], value)


@pytest.mark.parametrize(
    ("faults", "how"),
    [
        ({"crash_after": 1}, "while running: its process died by signal SIGSEGV"),
        ({"crash_after": -1}, "while loading: its process died by signal SIGSEGV"),
        ({"abort_after": 1}, "SIGABRT"),
        ({"exit_after": 1}, "with exit status 3"),
        ({"exit_after": -1}, "while loading: its process died with exit status 3"),
    ],
)
def test_a_crash_names_runtime_artefact_and_signal(tmp_path, faults, how):
    error = fault_of(path=tmp_path / "deadly.json", **faults)
    assert error.fault == "crashed"
    assert "null with" in error.message and "deadly.json" in error.message and how in error.message


def test_last_words_are_told():
    assert "assertion failed: model is sane" in fault_of(abort_after=0).message


def test_a_hang_ends_at_the_limit():
    error = fault_of(SHORT, hang_after=1)
    assert error.fault == "hung"
    assert "while running: no answer within the limit of 1 s" in error.message
    error = fault_of(Limits(load_s=3), hang_after=-1)
    assert "while loading: no answer within the limit of 3 s" in error.message


def test_a_long_block_of_short_runs_is_no_hang():
    with guarded.load("null", null_model(busy_us=50_000), 1, SHORT) as session:
        session.run(FEEDS)
        assert len(session.time_block(40)) == 40


def test_a_hang_within_a_block_is_one():
    with guarded.load("null", null_model(hang_after=3), 1, SHORT) as session:
        session.run(FEEDS)
        with pytest.raises(EngineFaultError, match=r"limit of 1 s"):
            session.time_block(10)


@pytest.mark.parametrize("allocate_bytes", [20_000_000, 3_000_000_000])
def test_memory_is_held_to_its_limit(allocate_bytes):
    error = fault_of(Limits(60, 30, 150_000_000), runs=20, allocate_bytes=allocate_bytes)
    assert error.fault == "memory"
    assert "more than the limit of 150 MB" in error.message


def test_a_peak_that_is_over_before_anyone_looks_is_seen(monkeypatch):
    monkeypatch.setattr(guard_process, "LOOK_SECONDS", 60.0)
    assert fault_of(Limits(60, 30, 150_000_000), runs=1, allocate_bytes=200_000_000).fault == "memory"


def test_a_flood_of_words_is_stopped(monkeypatch):
    monkeypatch.setattr(guard_process, "MAX_GUARD_CHATTER_BYTES", 1_000_000)
    error = fault_of(chatter_bytes=2_000_000)
    assert error.fault == "flood"
    assert "limit of 1 MB" in error.message


def test_words_are_no_fault_and_never_reach_our_streams(capfd):
    with guarded.load("null", null_model(chatter_bytes=300_000), 1, LIMITS) as session:
        for _ in range(3):
            session.run(FEEDS)
    assert capfd.readouterr() == ("", "")


def test_nan_is_a_fault():
    error = fault_of(nan_after=1)
    assert error.fault == "nan"
    assert "output 'y' holds NaN in 1 of 8 values" in error.message


def test_an_engines_own_error_is_no_fault_and_the_session_goes_on():
    with guarded.load("null", null_model(fail_after=1), 1, LIMITS) as session:
        session.run(FEEDS)
        for _ in range(2):
            with pytest.raises(EngineError, match="fails after 1 runs") as caught:
                session.run(FEEDS)
            assert not isinstance(caught.value, EngineFaultError)


def test_after_a_fault_every_run_tells_it_again():
    with guarded.load("null", null_model(crash_after=0), 1, LIMITS) as session:
        for use in (lambda: session.run(FEEDS), lambda: session.run(FEEDS), lambda: session.time_block(1)):
            with pytest.raises(EngineFaultError, match="SIGSEGV"):
                use()
        assert session.peak_rss_bytes() is None


def test_the_process_is_killed_and_reaped_on_close():
    session = guarded.load("null", null_model(), 1)
    pid = session._process.process.pid
    assert alive(pid)
    session.close()
    assert not Path(f"/proc/{pid}").exists()
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.run(FEEDS)
    with pytest.raises(EngineError, match="closed"):
        session.time_block(1)


def test_a_session_that_nobody_closes_takes_its_process_along():
    session = guarded.load("null", null_model(), 1)
    pid = session._process.process.pid
    del session
    assert wait_for_end(pid)


def test_no_descriptor_is_left(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for faults in ({}, {"crash_after": 0}, {"crash_after": -1}):
        try:
            with guarded.load("null", null_model(**faults), 1) as session:
                session.run(FEEDS)
        except EngineFaultError:
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


PARENT = """
import sys; sys.path[:] = {path!r}
import threading
from pathlib import Path
from runtime_forms import null_model, FORMS
from shoestring.runtimes import guarded
session = guarded.load("null", null_model({faults}), 1)
print(session._process.process.pid, flush=True)
session.run(FORMS["null"].feeds())
threading.Event().wait()
"""


@pytest.mark.parametrize("faults", ["", "hang_after=0"])
def test_it_dies_with_its_parent(faults):
    """Also when the parent is killed outright, and when the engine is deep in its own code."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(path=sys.path, faults=faults)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert wait_for_end(pid)


def test_an_interrupted_question_ends_the_process(monkeypatch):
    """Its answer would be taken for that to the next question."""
    with guarded.load("null", null_model(), 1) as session:
        pid = session._process.process.pid

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(GuardProcess, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            session.run(FEEDS)
        monkeypatch.undo()
        assert not alive(pid)
        with pytest.raises(EngineFaultError, match="interrupted"):
            session.run(FEEDS)


def test_the_process_times_itself():
    with guarded.load("null", null_model(busy_us=3000), 1, LIMITS) as session:
        with pytest.raises(EngineError, match="nothing to time"):
            session.time_block(1)
        session.run(FEEDS)
        times = session.time_block(5, lead=2)
    assert len(times) == 5
    assert min(times) >= 3.0


def test_peak_memory_is_that_of_the_process():
    with guarded.load("null", null_model(allocate_bytes=80_000_000), 1, LIMITS) as session:
        before = session.peak_rss_bytes()
        session.run(FEEDS)
        assert session.peak_rss_bytes() - before > 70_000_000
        assert session.peak_rss_bytes() == peak_of(session._process.process.pid)


def test_what_can_be_told_before_a_process_starts():
    with pytest.raises(UsageError, match="thread count 0"):
        guarded.load("null", null_model(), 0)
    with pytest.raises(UsageError, match="no runtime 'abacus'"):
        guarded.load("abacus", null_model(), 1)
    with pytest.raises(UsageError, match="no runtime 'abacus'"):
        GuardedRuntime("abacus")


def test_refusals_come_through_as_they_are(tmp_path):
    with pytest.raises(EngineError, match=r"^the null runtime refuses .*x\.json: not JSON"):
        path = tmp_path / "x.json"
        path.write_text("{")
        guarded.load("null", path, 1)
    with pytest.raises(EngineError, match="cannot read"):
        guarded.load("null", tmp_path / "absent", 1)


def test_a_relative_path_is_meant_from_here(tmp_path, monkeypatch):
    (tmp_path / "m.json").write_bytes(null_model())
    monkeypatch.chdir(tmp_path)
    with guarded.load("null", Path("m.json"), 1) as session:
        session.run(FEEDS)


def test_a_missing_engine_says_how_to_get_it(monkeypatch, tmp_path):
    """The process looks for packages where we do, so a package that breaks on import breaks there."""
    folder = tmp_path / "onnxruntime"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtraError) as caught:
        GuardedRuntime("onnxruntime").version()
    assert "shoestring[ort]" in caught.value.hint


def test_a_runtime_may_be_guarded_as_a_whole():
    runtime = GuardedRuntime("null", LIMITS)
    assert runtime.version() == registry.get("null").version()
    with runtime.load(null_model(), 1) as session:
        assert set(session.run(FEEDS)) == {"y", "z"}


def asked(process: GuardProcess, request: dict[str, object], seconds: float = 30.0) -> None:
    process.put(Question(request, "telling its version", seconds))


def test_a_question_may_be_put_and_looked_for():
    process = GuardProcess("null", None)
    try:
        asked(process, {"do": "version", "runtime": "null"})
        deadline = time.monotonic() + 30
        while not process.poll(0) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.take() == registry.get("null").version()
        assert process.alive() and process.resident_bytes() > 5_000_000
        with pytest.raises(EngineFaultError, match="was asked nothing"):
            process.take()
        with pytest.raises(EngineFaultError, match="was asked nothing"):
            process.poll(0)
    finally:
        process.close()
    assert not process.alive() and process.resident_bytes() is None


def test_an_answer_that_nobody_took_is_never_taken_for_another():
    process = GuardProcess("null", None)
    asked(process, {"do": "version", "runtime": "null"})
    with pytest.raises(EngineFaultError, match="interrupted"):
        asked(process, {"do": "version", "runtime": "null"})
    assert not process.alive()


def test_a_process_that_died_says_so_when_it_is_looked_for():
    process = GuardProcess("null", None)
    asked(process, {"do": "version", "runtime": "null"})
    process.process.kill()
    deadline = time.monotonic() + 30
    with pytest.raises(EngineFaultError, match="SIGKILL"):
        while not process.poll(0.1):
            assert time.monotonic() < deadline
    assert not process.alive()


@pytest.mark.parametrize("poison_", POISONS)
def test_a_poisoned_input_makes_the_fault_it_names_and_others_do_not(poison_, monkeypatch):
    monkeypatch.setattr(guard_process, "MAX_GUARD_CHATTER_BYTES", 1_000_000)
    spec = [{"name": "x", "dtype": "uint8", "shape": [1, 6]}], [{"name": "y", "dtype": "float32", "shape": [1, 3]}]
    model = json.dumps({"inputs": spec[0], "outputs": spec[1], "poison": True}).encode()
    healthy = np.arange(6, dtype=np.uint8)[None]
    limits = Limits(60, 5.0 if poison_ == "hang" else 60.0, 150_000_000)
    with guarded.load("null", model, 1, limits) as session:
        session.run({"x": healthy})
        with pytest.raises(EngineError) as caught:
            session.run({"x": poison(healthy, poison_)})
    kinds = {"hang": "hung", "leak": "memory", "flood": "flood", "nan": "nan", "shape": "shape", "fail": None}
    assert getattr(caught.value, "fault", None) == kinds.get(poison_, "crashed")
