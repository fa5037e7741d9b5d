"""A child may die in any way; the parent says how, and goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import BudgetError, ChildCrashedError, ChildTimeoutError, ModelError

LIMITS = ChildLimits(seconds=30)


def call(function: str, request: object = None, limits: ChildLimits = LIMITS):
    return run_in_child(f"child_targets:{function}", request, limits)


def test_request_and_answer_travel() -> None:
    assert call("echo", {"a": [1, "ä", None]}) == {"a": [1, "ä", None]}


def test_printing_does_not_disturb_the_answer() -> None:
    assert call("chatter") == "answer"


def test_our_errors_come_back_as_themselves() -> None:
    with pytest.raises(ModelError) as caught:
        call("refuse")
    assert (caught.value.message, caught.value.hint) == ("bad model", "use another")
    with pytest.raises(BudgetError) as other:
        call("over_budget")
    assert other.value.rows == ()


def test_a_crash_names_the_signal() -> None:
    with pytest.raises(ChildCrashedError, match="SIGSEGV"):
        call("segfault")


def test_an_unexpected_error_gives_its_last_words() -> None:
    with pytest.raises(ChildCrashedError, match="ZeroDivisionError"):
        call("divide")


def test_the_memory_limit_holds() -> None:
    with pytest.raises(ChildCrashedError, match=r"MemoryError: more than the limit of 300000000"):
        call("hoard", 10**9, ChildLimits(30, 300_000_000))


def test_a_child_that_hangs_is_killed_with_its_own_children(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with pytest.raises(ChildTimeoutError, match="2 s"):
        call("hang", str(note), ChildLimits(seconds=2))
    pids = [int(word) for word in note.read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_the_child_does_not_read_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    assert call("echo", 1) == 1
    assert Path.cwd() == tmp_path
