"""What a writer's process may do to itself: each is an error that names it, and the next request is served."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoestring.base.errors import EngineError, EngineFaultError, ModelError
from shoestring.runtimes.guarded import Limits
from shoestring.runtimes.llamacpp.asking import STOP, Options
from shoestring.runtimes.llamacpp.keeping import kill_process
from shoestring.runtimes.llamacpp.null import NullPlan, null_writer, write_plan
from shoestring.runtimes.llamacpp.writer import Writer
from tiny_gguf import NARROW, tiny_gguf

LIMITS = Limits(load_s=60.0, run_s=30.0, memory_bytes=250_000_000)
HASTY = Limits(load_s=60.0, run_s=2.0)


def plan_in(folder: Path, **fields: object) -> Path:
    return write_plan(folder / "null.json", NullPlan(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("poison", "fault", "words"),
    [
        ("crash", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit status 3"),
        ("hang", "hung", "no sign of life within the limit of 2 s"),
        ("flood", "flood", "stderr"),
        ("garbage", "shape", "no JSON"),
        ("long-line", "flood", "a line of more than"),
        ("leak", "memory", "more than the limit of 250 MB"),
        ("cut", "crashed", "broke off"),
    ],
)
def test_a_fault_in_the_middle_of_an_answer(tmp_path: Path, poison: str, fault: str, words: str) -> None:
    with null_writer(plan_in(tmp_path), limits=HASTY if poison == "hang" else LIMITS) as writer:
        stream = writer.complete(f"please poison:{poison}")
        assert next(stream).text == "All "
        with pytest.raises(EngineFaultError, match=words) as caught:
            list(stream)
        assert caught.value.fault == fault
        assert list(writer.complete("and now"))[-1].finish == STOP
        assert writer.starts == 2


def test_an_error_in_the_middle_costs_one_answer_and_no_process(tmp_path: Path) -> None:
    with null_writer(plan_in(tmp_path), limits=LIMITS) as writer:
        with pytest.raises(EngineError, match="as its prompt says"):
            list(writer.complete("poison:refuse"))
        assert list(writer.complete("and now"))[-1].finish == STOP
        assert writer.starts == 1


def test_all_answers_of_a_process_that_dies_end_with_its_fault(tmp_path: Path) -> None:
    faults: list[str] = []

    def read(writer: Writer) -> None:
        try:
            list(writer.complete("a long one"))
        except EngineFaultError as error:
            faults.append(error.fault)

    with null_writer(plan_in(tmp_path, words=("x",) * 500, token_s=0.05), slots=3) as writer:
        threads = [threading.Thread(target=read, args=(writer,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        kill_process(writer._keeper)
        for thread in threads:
            thread.join(30)
        assert faults == ["crashed"] * 3
        assert list(writer.complete("x", Options(max_tokens=1)))[-1].usage is not None


@pytest.mark.parametrize(("loading", "fault"), [("crash", "crashed"), ("hang", "hung")])
def test_a_fault_while_loading(tmp_path: Path, loading: str, fault: str) -> None:
    limits = Limits(load_s=60.0 if loading == "crash" else 2.0)
    with pytest.raises(EngineFaultError) as caught:
        null_writer(plan_in(tmp_path, loading=loading), limits=limits)
    assert caught.value.fault == fault


def test_a_refusal_while_loading_is_no_fault(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="refuses"):
        null_writer(plan_in(tmp_path, loading="refuse"))


def test_a_real_engine_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with Writer(tiny_gguf(tmp_path / "tiny.gguf", NARROW), context=256) as writer:
        options = Options(temperature=0, grammar="root ::= [a-z]*")
        stream = writer.complete("the", options)
        next(stream)
        kill_process(writer._keeper)
        with pytest.raises(EngineFaultError, match="SIGSEGV"):
            list(stream)
        assert list(writer.complete("the", Options(temperature=0, max_tokens=1)))[-1].usage is not None
        assert writer.starts == 2


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for scratch that no other test uses, with a name short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_nothing_is_left_behind(tmp_path: Path, scratch: Path) -> None:
    """No process, no socket's folder and no descriptor: not after a close, not after a parent that was killed."""
    before = _descriptors()
    with null_writer(plan_in(tmp_path)) as writer:
        list(writer.complete("x"))
        assert list(scratch.iterdir()) == []
        pid = writer._keeper._process.process.pid  # type: ignore[union-attr]
    assert not Path(f"/proc/{pid}").exists()
    assert _descriptors() <= before
    script = (
        "import os, sys; from pathlib import Path; from shoestring.runtimes.llamacpp.null import null_writer; "
        f"writer = null_writer(Path({str(tmp_path / 'null.json')!r})); "
        "print(writer._keeper._process.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    orphan = int(said.stdout)
    for _ in range(200):
        if not _running(orphan):
            break
        time.sleep(0.02)
    assert not _running(orphan)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _running(pid: int) -> bool:
    """Whether a process is there and no corpse."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_socket_has_no_name_that_another_user_could_find(tmp_path: Path, scratch: Path) -> None:
    with null_writer(plan_in(tmp_path)) as writer:
        names = Path("/proc/net/unix").read_text()
        listening = [line.split()[-1] for line in names.splitlines() if str(scratch) in line]
        assert writer._keeper.address.startswith("/proc/self/fd/")
        assert listening
        assert all(not Path(name).exists() for name in listening)


def test_a_hundred_users_at_once_are_all_answered_and_those_who_leave_hold_nobody_up(tmp_path: Path) -> None:
    ended: list[str] = []
    faults: list[EngineError] = []

    def user(writer: Writer, number: int) -> None:
        try:
            with writer.complete(f"user {number}") as stream:
                if number % 4 == 0:
                    next(stream)  # and away
                    ended.append("left")
                else:
                    ended.append(list(stream)[-1].finish or "none")
        except EngineError as error:
            faults.append(error)

    with null_writer(plan_in(tmp_path, token_s=0.001), slots=4) as writer:
        threads = [threading.Thread(target=user, args=(writer, number)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert writer.starts == 1
    assert faults == []
    assert (ended.count("left"), ended.count(STOP)) == (25, 75)
