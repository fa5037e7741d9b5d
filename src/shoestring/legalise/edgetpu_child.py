"""The inside of the child process in which the Edge TPU's compiler runs, under the child's own limits."""

from __future__ import annotations

import subprocess
from typing import Any

MAX_WORDS = 1_000_000  # characters of its log; those of the largest models have some ten thousand


def run(request: dict[str, Any]) -> Any:
    """Run `command` in `folder`; its exit code and everything that it said."""
    done = subprocess.run(
        request["command"],
        cwd=request["folder"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return {"code": done.returncode, "words": done.stdout[:MAX_WORDS]}
