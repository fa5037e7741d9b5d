"""What tests run in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from shoestring.base.errors import BudgetError, ModelError


def echo(request: Any) -> Any:
    return request


def chatter(_: Any) -> str:
    print("noise on stdout")
    os.write(1, b"more noise")
    return "answer"


def refuse(_: Any) -> None:
    raise ModelError("bad model", hint="use another")


def over_budget(_: Any) -> None:
    raise BudgetError("too slow", hint="be patient")


def segfault(_: Any) -> None:
    os.kill(os.getpid(), 11)


def divide(_: Any) -> float:
    return 1 / 0


def hoard(count: int) -> int:
    return len(bytearray(count))


def hang(note: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(note).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
