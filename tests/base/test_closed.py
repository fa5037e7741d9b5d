"""A closed process does nothing but its work; an open one does all of it, so that the test is not blind."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import closed_room
import closed_targets
from shoestring.base import landlock
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildError

LIMITS = ChildLimits(60)
NEEDS_RIGHTS = {"map a kernel program", "go around by io_uring", "slow a process down", "leave its session"}
NAMES = sorted(closed_targets.misdeeds({"outside": "", "victim": "0", "secret": "", "tcp": "0", "unix": ""}))

needs_landlock = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[dict[str, str]]:
    with closed_room.furnished(tmp_path) as made:
        yield made


@needs_landlock
def test_a_closed_process_can_do_its_work_and_nothing_else(room: dict[str, str]) -> None:
    told: dict[str, Any] = run_in_child("closed_targets:closed_attempt", room, LIMITS)
    assert sorted(told["tried"]) == NAMES
    assert {name: how for name, how in told["tried"].items() if how not in ("EPERM", "EACCES", "EXDEV", "ENOSYS")} == {}
    assert told["readable"] == "readable" and told["thread"] == [1] and told["imports"] == "decimal"
    assert told["too_large"] == "held" and Path(room["own"]).stat().st_size <= 100_000
    assert {int(figure, 16) for figure in told["capabilities"]} == {0}
    assert [word.split(" ")[1] for word in told["held"]] == ["network", "files", "programs,"]
    assert Path(room["secret"]).read_text() == "SECRET"
    assert [path.name for path in Path(room["outside"]).iterdir()] == ["secret"]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEEDS_RIGHTS])
def test_an_open_process_does_it_all(room: dict[str, str], name: str) -> None:
    if name == "replace itself":
        with pytest.raises(ValueError):  # /bin/true took its place, and answered nothing
            run_in_child("closed_targets:open_attempt", {**room, "only": name}, LIMITS)
        return
    if name == "link a file" or name == "set an attribute":
        told = run_in_child("closed_targets:open_attempt", {**room, "only": name}, LIMITS)[name]
        assert told in ("done", "ENOTSUP", "EOPNOTSUPP")
        return
    told = run_in_child("closed_targets:open_attempt", {**room, "only": name}, LIMITS)[name]
    assert told == ("ENOSYS" if name == "ask for a later call" else "done")


@pytest.mark.parametrize(("missing", "word"), [("landlock", "Landlock"), ("seccomp", "seccomp")])
@needs_landlock
def test_a_kernel_that_cannot_close_it_is_said(missing: str, word: str) -> None:
    with pytest.raises(ChildError, match=f"it is without {word}") as told:
        run_in_child("closed_targets:without", missing, LIMITS)
    assert told.value.hint


def test_threads_that_run_already_would_stay_open() -> None:
    with pytest.raises(ChildError, match="several threads"):
        run_in_child("closed_targets:with_threads", None, LIMITS)


def test_the_table_agrees_with_the_headers_of_this_machine() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
    table = tomllib.loads(resources.files("shoestring.base").joinpath("refused_syscalls.toml").read_text())
    checked = 0
    for group in table.values():
        for name, numbers in group.items() if isinstance(group, dict) else ():
            if name in known:
                assert numbers[0] == known[name], name
                checked += 1
    assert checked > 100
