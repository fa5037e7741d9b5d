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


def test_memory_in_use_is_watched_where_address_space_cannot_be_limited() -> None:
    limits = ChildLimits(30, None, 300_000_000)
    with pytest.raises(ChildCrashedError, match="more than the limit of 300000000, and was ended"):
        run_in_child("closed_targets:fork_bomb_of_memory", 600_000_000, limits)
    assert call("echo", "small", limits) == "small"


def test_a_large_request_arrives_whole_under_the_watch() -> None:
    text = "x" * 5_000_000
    assert call("echo", text, ChildLimits(30, None, 1_000_000_000)) == text


def test_the_environment_can_be_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "1")
    assert "SECRET_KEY" in run_in_child("closed_targets:environment", None, LIMITS)
    told = run_in_child("closed_targets:environment", None, LIMITS, env={"ONE": "1"}, inherit_env=False)
    assert "SECRET_KEY" not in told and "ONE" in told


@pytest.mark.parametrize("reply", ['{"error": "annotations", "message": "", "hint": ""}', "no JSON", '{"a": 1}', "[]"])
def test_a_forged_reply_is_no_answer(reply: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        run_in_child("closed_targets:forged", reply, LIMITS)
