"""Real processes: an engine may do what it likes in its own; ours goes on, and leaves nothing over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from factory import make_bundle_parts, make_images
from null_bundles import CHEAP, DEAR, MIDDLE, make_null_bundle
from shoestring.base.errors import (
    BundleError,
    DataError,
    EngineDownError,
    EngineError,
    EngineFaultError,
    GoldenError,
    UsageError,
)
from shoestring.bundle import open_bundle, pack
from shoestring.device import Player
from shoestring.device.supervise import Care, DirectEngine, Policy, SupervisedEngine
from shoestring.device.supervise import worker as worker_module
from shoestring.runtimes import guard_process
from shoestring.runtimes.null_faults import POISONS, poison

IMAGES = make_images(4, seed=3)
MIB = 1024 * 1024
ALONE = Care(warm=False, frame_s=20.0, memory_bytes=300 * MIB)
PATIENT = Policy(times=1000, wait_s=0.0, most_wait_s=0.0)
KINDS = {"leak": "memory", "flood": "flood", "nan": "nan", "shape": "shape", "hang": "hung"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_null_bundle(tmp_path / "null.shoe")
    return tmp_path / "null.shoe"


@pytest.fixture
def engine(path: Path) -> Iterator[SupervisedEngine]:
    with SupervisedEngine(path, care=ALONE, policy=PATIENT, rung=MIDDLE, fall=False) as one:
        one.wait_ready(60)
        yield one


def children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def test_answers_are_those_of_the_player(path, engine):
    with open_bundle(path) as bundle, Player(bundle, rung=MIDDLE) as player, DirectEngine(path, rung=MIDDLE) as direct:
        for image in IMAGES:
            here, there, near = player.outputs(image), engine.infer(image), direct.infer(image)
            np.testing.assert_array_equal(there.outputs, here.values)
            np.testing.assert_array_equal(near.outputs, here.values)
            assert there.outputs.dtype == near.outputs.dtype == np.float32 and there.outputs.shape == (4,)
            assert (there.rung, there.stages, there.probabilities) == (near.rung, near.stages, near.probabilities)
            assert there.rung == MIDDLE and there.busy_s > 0 and near.busy_s > 0


def test_a_view_of_pixels_is_taken_as_it_looks(engine):
    turned = np.ascontiguousarray(IMAGES[0].transpose(1, 0, 2)).transpose(1, 0, 2)
    assert not turned.flags.c_contiguous
    np.testing.assert_array_equal(engine.infer(turned).outputs, engine.infer(IMAGES[0]).outputs)


@pytest.mark.parametrize("kind", [DirectEngine, SupervisedEngine])
def test_pixels_that_do_not_fit_are_the_callers_mistake(path, kind):
    with kind(path, rung=MIDDLE) as one:
        for bad in (IMAGES[0][:4], IMAGES[0].astype(np.float32), [1, 2]):
            with pytest.raises(DataError):
                one.infer(bad)
        assert one.take_failures() == ()


@pytest.mark.parametrize("fault", POISONS)
def test_whatever_a_frame_does_to_the_engine_the_next_is_answered(engine, fault):
    if fault == "hang":
        engine._keeper._active.limit_s = 1.0
    with pytest.raises(EngineError) as caught:
        engine.infer(poison(IMAGES[0], fault))
    if fault == "fail":
        assert "cannot bear this input" in caught.value.message
    else:
        assert isinstance(caught.value, EngineFaultError)
        assert caught.value.fault == KINDS.get(fault, "crashed")
    assert f"rung {MIDDLE!r}" in caught.value.message or fault == "fail"
    started = time.monotonic()
    with pytest.raises(EngineDownError) as down:
        engine.infer(IMAGES[0])
    assert down.value.next_try_s == 0.0 and time.monotonic() - started < 0.5
    assert engine.take_failures() == ((MIDDLE, 1),)
    engine.wait_ready(60)
    assert engine.infer(IMAGES[0]).rung == MIDDLE
    assert engine.started == 2


def test_nothing_is_left_over(path):
    with SupervisedEngine(path, care=ALONE, policy=PATIENT) as one:  # the thread that starts processes stays
        one.wait_ready(60)
    before = children(), descriptors()
    for fault in ("crash", "nan", "killed"):
        with SupervisedEngine(path, care=Care(memory_bytes=600 * MIB), policy=PATIENT) as one:
            one.wait_ready(60)
            with pytest.raises(EngineError):
                one.infer(poison(IMAGES[0], fault))
            one.wait_ready(60)
    assert (children(), descriptors()) == before


def test_a_leaking_keeper_would_be_seen(path, monkeypatch):
    """The count above is worth nothing if it does not catch who forgets to end a process."""
    before = children(), descriptors()
    kept = []
    monkeypatch.setattr(worker_module.ProcessWorker, "close", lambda worker: kept.append(worker))
    with SupervisedEngine(path, care=ALONE) as one:
        one.wait_ready(60)
    assert len(children()) > len(before[0]) and descriptors() > before[1]
    monkeypatch.undo()
    for worker in kept:
        worker.close()


def test_a_second_process_takes_over_at_once(path):
    with SupervisedEngine(path, policy=PATIENT, rung=MIDDLE, care=Care(frame_s=20.0)) as one:
        one.wait_ready(60)
        while one.processes < 2 or one._keeper._coming is not None:
            one.tend()
            time.sleep(0.01)
        with pytest.raises(EngineFaultError):
            one.infer(poison(IMAGES[0], "crash"))
        assert one.infer(IMAGES[0]).rung == CHEAP
        while one.running != MIDDLE:
            one.tend()
            time.sleep(0.01)
        assert one.infer(IMAGES[0]).rung == MIDDLE


def test_a_rung_that_answers_otherwise_here_is_never_used(tmp_path):
    make_null_bundle(tmp_path / "w.shoe", wrong=(CHEAP,))
    with SupervisedEngine(tmp_path / "w.shoe", rung=CHEAP, care=ALONE) as one:
        assert one.wait_ready(60) in (MIDDLE, DEAR)
        states = {state.name: state for state in one.rungs}
        assert states[CHEAP].state == "refused" and "golden inputs" in states[CHEAP].why
        assert states[MIDDLE].state == "proven" and states[MIDDLE].frame_s > 0
        one.switch(CHEAP)
        assert one.infer(IMAGES[0]).rung == MIDDLE
    with SupervisedEngine(tmp_path / "w.shoe", rung=CHEAP, care=ALONE, fall=False) as one:
        with pytest.raises(EngineDownError, match="no rung runs") as caught:
            one.wait_ready(60)
        assert caught.value.next_try_s is None


def test_a_rung_that_dies_while_loading_gives_way_to_another(tmp_path):
    make_null_bundle(tmp_path / "d.shoe", {MIDDLE: {"crash_after": 3}})
    policy = Policy(times=2, wait_s=0.0)
    with SupervisedEngine(tmp_path / "d.shoe", rung=MIDDLE, care=ALONE, policy=policy) as one:
        assert one.wait_ready(60) == CHEAP
        assert one.take_failures() == ((MIDDLE, 2),)
        assert "SIGSEGV" in {state.name: state for state in one.rungs}[MIDDLE].why


def test_an_engine_that_loads_for_ever_is_ended(tmp_path):
    make_null_bundle(tmp_path / "h.shoe", {MIDDLE: {"hang_after": -1}})
    care = Care(warm=False, load_s=5.0)
    policy = Policy(times=1)
    with SupervisedEngine(tmp_path / "h.shoe", rung=MIDDLE, care=care, policy=policy) as one:
        assert one.wait_ready(60) == CHEAP


def test_a_file_put_in_the_place_of_the_bundle_is_not_taken_for_it(path, tmp_path, engine):
    make_null_bundle(tmp_path / "other.shoe", wrong=(CHEAP, MIDDLE, DEAR))
    (tmp_path / "other.shoe").replace(path)
    os.kill(engine._keeper._active.worker._process.process.pid, signal.SIGKILL)
    with pytest.raises(EngineFaultError, match="SIGKILL"):
        engine.infer(IMAGES[0])
    engine.wait_ready(60)
    assert engine.infer(IMAGES[0]).rung == MIDDLE


def test_a_bundle_that_was_written_over_is_refused(path, engine):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(EngineFaultError):
        engine.infer(poison(IMAGES[0], "crash"))
    with pytest.raises(EngineDownError, match="no rung runs"):
        engine.wait_ready(60)


def test_processes_outlive_the_thread_that_asked_for_them(path):
    """The system kills a child with the thread that started it: threads of a server come and go."""
    made: list[SupervisedEngine] = []

    def make() -> None:
        made.append(SupervisedEngine(path, care=ALONE, policy=PATIENT))
        made[0].wait_ready(60)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    with made[0] as one:
        time.sleep(0.3)
        one.infer(IMAGES[0])
        assert one.started == 1


def test_a_process_started_by_a_passing_thread_would_not(path, monkeypatch):
    monkeypatch.setattr(worker_module, "start_for_good", subprocess.Popen)
    test = test_processes_outlive_the_thread_that_asked_for_them
    with pytest.raises(EngineError, match=r"SIGKILL|died between frames"):
        test(path)


def test_threads_take_turns(engine):
    wanted = [engine.infer(image).outputs for image in IMAGES]
    wrong: list[int] = []

    def ask(place: int) -> None:
        for _ in range(30):
            if not np.array_equal(engine.infer(IMAGES[place]).outputs, wanted[place]):
                wrong.append(place)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


PARENT = """
import sys; sys.path[:] = {path!r}
import threading
from pathlib import Path
from factory import make_images
from shoestring.device.supervise import SupervisedEngine, Care
from shoestring.runtimes.null_faults import poison
engine = SupervisedEngine(Path({bundle!r}), care=Care(frame_s=1000.0))
engine.wait_ready(60)
while engine.processes < 2:
    engine.tend()
print(*[held.worker._process.process.pid for held in (engine._keeper._active, engine._keeper._coming)], flush=True)
{then}
threading.Event().wait()
"""


@pytest.mark.parametrize("then", ["", "engine.infer(poison(make_images(1)[0], 'hang'))"], ids=["idle", "hangs"])
def test_engines_end_with_their_parent_however_it_ends(path, then):
    text = PARENT.format(path=sys.path, bundle=str(path), then=then)
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pids = set(map(int, parent.stdout.readline().split()))
        assert len(pids) == 2 and all(map(alive, pids))
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
    assert gone(pids)


def test_where_no_process_can_be_started_that_is_a_fault_and_nothing_is_left(path, monkeypatch):
    with SupervisedEngine(path, care=ALONE) as one:
        one.wait_ready(60)
    before = descriptors()

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(worker_module, "start_for_good", refuse)
    with (
        SupervisedEngine(path, care=ALONE) as one,
        pytest.raises(EngineDownError, match="no process can be started: Resource temporarily unavailable"),
    ):
        one.wait_ready(0.1)
    assert descriptors() == before


def test_a_process_that_no_signal_ends_is_not_waited_for(path, engine, monkeypatch):
    """As one is that hangs in a driver."""
    process = engine._keeper._active.worker._process
    monkeypatch.setattr(guard_process, "REAPING_SECONDS", 0.1)
    real, killed = os.killpg, []
    monkeypatch.setattr(os, "killpg", lambda pid, _: killed.append(pid))
    started = time.monotonic()
    process.close()
    assert killed == [process.process.pid] and time.monotonic() - started < 5
    monkeypatch.undo()
    real(process.process.pid, signal.SIGKILL)
    process.process.wait()


def test_what_can_be_told_at_once(path, tmp_path):
    with pytest.raises(UsageError, match="no rung 'abacus'"):
        SupervisedEngine(path, rung="abacus")
    with pytest.raises(UsageError, match="no rung 'abacus'"):
        DirectEngine(path, rungs=["abacus"])
    with pytest.raises(UsageError, match="2 rungs were named, 1 different"):
        SupervisedEngine(path, rungs=[CHEAP, CHEAP])
    with pytest.raises(BundleError):
        (tmp_path / "x.shoe").write_bytes(b"PK")
        SupervisedEngine(tmp_path / "x.shoe")
    with SupervisedEngine(path) as one, pytest.raises(UsageError, match="no rung 'abacus'"):
        one.switch("abacus")


def test_a_closed_engine_says_so(path):
    with SupervisedEngine(path) as one:
        pass
    for call in (lambda: one.infer(IMAGES[0]), one.close):
        if call == one.close:
            call()
        else:
            with pytest.raises(EngineError, match="closed"):
                call()
    with DirectEngine(path) as direct:
        pass
    direct.close()
    with pytest.raises(EngineError, match="closed"):
        direct.infer(IMAGES[0])


def test_a_direct_engine_keeps_two_rungs_and_refuses_what_answers_otherwise(tmp_path):
    make_null_bundle(tmp_path / "w.shoe", {DEAR: {"nan_after": 9}}, wrong=(CHEAP,))
    with DirectEngine(tmp_path / "w.shoe", rung=MIDDLE) as one:
        first = one._players[MIDDLE]
        one.switch(DEAR)
        one.switch(MIDDLE)
        assert one._players[MIDDLE] is first and len(one._players) == 2
        for kind in (GoldenError, EngineDownError):
            with pytest.raises(kind, match="golden inputs"):
                one.switch(CHEAP)
        assert one.running == MIDDLE and one.infer(IMAGES[0]).rung == MIDDLE
        assert [state.state for state in one.rungs] == ["refused", "proven", "proven"]
        one.take_failures()
        one.switch(DEAR)
        one.infer(IMAGES[0])
        with pytest.raises(EngineFaultError, match="finite"):
            one.infer(IMAGES[0])
        assert one.take_failures() == ((DEAR, 1),)


def test_a_real_runtime_runs_in_the_process_and_pads_nothing(tmp_path):
    parts = make_bundle_parts()
    pack(tmp_path / "real.shoe", parts.manifest, parts.blobs)
    with SupervisedEngine(tmp_path / "real.shoe", care=Care(warm=False)) as one:
        one.wait_ready(60)
        for image, row in zip(parts.golden_images, parts.golden_outputs["int8"], strict=True):
            np.testing.assert_allclose(one.infer(image).outputs, row, atol=1e-3)
