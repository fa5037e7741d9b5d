"""The worker's side of every engine: call a task's function, and say what came of it in bytes that can be checked."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from shoestring.base import errors
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import ChildError, ShoestringError, UsageError

PACKAGE = "shoestring."
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 in workers: a task has one processor, and sums of one order."""


def perform(target: str, arguments: Any, blobs: dict[str, Path]) -> tuple[dict[str, Any], bytes]:
    """Call a task's function here.

    Returns:
        A head and the bytes returned. The head holds their hash, or the error (class, message, hint).
    """
    module, _, name = target.partition(":")
    try:
        if not module.startswith(PACKAGE):
            raise UsageError(f"the task {target!r} is not one of ours")
        result = getattr(importlib.import_module(module), name)(arguments, blobs)
    except ShoestringError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}, b""
    return {"sha256": sha256_hex(result)}, result


def unpack(target: str, head: dict[str, Any], result: bytes) -> bytes:
    """The result that came with a head, checked; or the error that the task raised, raised here."""
    if "error" in head:
        kind = getattr(errors, head["error"], ShoestringError)
        error = kind.__new__(kind)
        ShoestringError.__init__(error, head["message"], hint=head["hint"])
        raise error
    if sha256_hex(result) != head["sha256"]:
        raise ChildError(f"{target}: the result does not have the hash that its worker sent with it")
    return result


def serve(folder: Path) -> None:
    """A local worker: one JSON line in is a task, one line out its head; the result is a file in `folder`.

    Ends when its input ends, so that it does not outlive the process that started it.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        call = json.loads(line)
        blobs = {name: Path(path) for name, path in call["blobs"].items()}
        head, result = perform(call["target"], call["arguments"], blobs)
        (folder / call["result"]).write_bytes(result)
        out.write(json.dumps(head) + "\n")
        out.flush()
