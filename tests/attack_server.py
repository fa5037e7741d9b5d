"""Runs readers over many hostile files: a warm process without threads forks closed ones, each of which reads a batch.

A fresh interpreter a file takes most of a second; a fork takes a millisecond. Inside the fork everything is as in the
quarantine proper: the same walls and limits (`quarantine.shut`), the same reader, the same treatment of its errors.
What a fork says of a file is one line on a pipe; when it dies or hangs, another goes on with the next file.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring.base import quarantine
from shoestring.base.errors import ShoestringError

LARGEST_FILE_BYTES = 512 << 20
MEMORY_BYTES = 4 << 30  # of address space, half of what an import has
CASE_SECONDS = 20.0
MAX_MESSAGE = 2_000


@dataclass(frozen=True)
class Verdict:
    """How one file was answered.

    Args:
        outcome: `accepted`, the class of our error, `MemoryError`, `uncaught NAME`, `signal N`, `exit N` or `hung`.
        message: of the error.
        seconds: of processor time.
        grown_bytes: by how much the peak of the process's memory rose above where it began.
    """

    outcome: str
    message: str = ""
    seconds: float = 0.0
    grown_bytes: int = 0


def import_onnx(request: dict[str, Any]) -> Any:
    from shoestring.importers.onnx_child import normalise

    return normalise({"batch_free": True, "shapes": {}, **request})


def import_tflite(request: dict[str, Any]) -> Any:
    """Both children of an import, one after the other."""
    from shoestring.importers.tflite.child import translate

    told = translate({"shapes": {}, **request})
    return [told, import_onnx({"source": request["target"], "target": request["target"]})]


def import_darknet(request: dict[str, Any]) -> Any:
    from shoestring.importers.darknet.child import translate

    told = translate({"weights": str(Path(request["source"]).with_suffix(".weights")), **request})
    return [told, import_onnx({"source": request["target"], "target": request["target"]})]


def read_weights(request: dict[str, Any]) -> Any:
    from shoestring.importers.weights import read

    return read({"kind": request["kind"], "path": request["source"]})


def import_torch(request: dict[str, Any]) -> Any:
    """What passes the look from outside, which is the first of the two, is opened."""
    from shoestring.importers.pytorch_child import convert

    look_at_archive(request)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(request["target"]).parent)  # as `pytorch` does for its child
    return convert({"kind": "exported", "shapes": {}, "batch_free": True, "allow_pickle": False, **request})


def look_at_archive(request: dict[str, Any]) -> Any:
    """What our own process does with an archive of PyTorch before any other opens it."""
    from shoestring.importers.pytorch import _kind

    return _kind(Path(request["source"]), Path(request["source"]))


def open_bundle(request: dict[str, Any]) -> Any:
    from shoestring.bundle import open_bundle

    with open_bundle(Path(request["source"])) as bundle:
        return [bundle.sha256, [len(bundle.read(blob.sha256)) for blob in bundle.manifest.blobs]]


def apply_delta(request: dict[str, Any]) -> Any:
    """Of the bundle beside it."""
    from shoestring.bundle.patching import apply_delta

    source, folder = Path(request["source"]), Path(request["source"]).parent
    return str(apply_delta(folder / "old.shoe", source, folder / "new.shoe"))


def reads_what_it_is_told(request: dict[str, Any]) -> Any:
    """A saboteur: a reader that follows any path in its file, and answers with what stands there."""
    return Path(Path(request["source"]).read_text()).read_text()


def makes_room(request: dict[str, Any]) -> Any:
    """A saboteur: a reader that allocates what the first 8 bytes of a file claim."""
    room = bytearray(int.from_bytes(Path(request["source"]).read_bytes()[:8], "little"))
    room[::4096] = b"x" * len(room[::4096])
    return len(room)


def dies(request: dict[str, Any]) -> Any:
    """A saboteur: what a fault of a native library does."""
    kind = Path(request["source"]).read_text()
    if kind == "signal":
        os.abort()
    if kind == "hang":
        time.sleep(2 * CASE_SECONDS)
    if kind == "memory":
        return len(bytes(MEMORY_BYTES))
    return {}[kind]


def peak_bytes() -> int:
    """Of this process's memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _answer(reader: Any, request: dict[str, Any]) -> Verdict:
    """One file, as `child.serve_one_call` treats it."""
    try:
        json.dumps(reader(request), allow_nan=False)
        return Verdict("accepted")
    except ShoestringError as error:
        return Verdict(type(error).__name__, str(error))
    except MemoryError:
        return Verdict("MemoryError")
    except Exception as error:  # noqa: BLE001 - in the quarantine proper the child dies of it
        places = [frame for frame in traceback.extract_tb(error.__traceback__) if "shoestring" in frame.filename]
        where = f"{Path(places[-1].filename).name}:{places[-1].lineno}" if places else "elsewhere"
        return Verdict(f"uncaught {type(error).__name__}", f"at {where}: {error}")


def _work(job: dict[str, Any], start: int, pipe: int) -> None:
    """The closed process: never returns."""
    module, _, name = job["target"].partition(":")
    reader = getattr(importlib.import_module(module), name)
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    if job["walls"]:
        writable = [Path(one["target"]) for one in job["requests"] if "target" in one]
        quarantine.shut([Path(job["room"])], writable, LARGEST_FILE_BYTES, int(job["seconds"]) * 100, required=True)
    began = peak_bytes()
    for at in range(start, len(job["requests"])):
        busy = time.process_time()
        found = _answer(reader, job["requests"][at])
        spent = time.process_time() - busy
        line = [at, found.outcome, found.message[:MAX_MESSAGE], spent, peak_bytes() - began]
        os.write(pipe, json.dumps(line).encode() + b"\n")
    os._exit(0)


def _batch(job: dict[str, Any]) -> list[list[Any]]:
    """All answers, with as many processes as it takes."""
    done: list[list[Any]] = []
    while len(done) < len(job["requests"]):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            try:
                _work(job, len(done), write)
            finally:
                os._exit(3)
        os.close(write)
        lines, hung = _listen(read, job["seconds"])
        os.close(read)
        if hung:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        done += [line[1:] for line in lines]
        if len(done) < len(job["requests"]):
            code = os.waitstatus_to_exitcode(status)
            done.append(["hung" if hung else f"signal {-code}" if code < 0 else f"exit {code}", "", 0.0, 0])
    return done


def _listen(read: int, seconds: float) -> tuple[list[list[Any]], bool]:
    """Lines until the pipe ends, or until none comes for too long."""
    held = b""
    while True:
        ready, _, _ = select.select([read], [], [], seconds)
        piece = os.read(read, 1 << 16) if ready else b""
        held += piece
        if not piece:
            whole = held.split(b"\n")[:-1]
            return [json.loads(line) for line in whole], not ready


def serve() -> None:
    """Jobs on stdin, answers on stdout, a line each."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        out.write(json.dumps(_batch(json.loads(line))) + "\n")
        out.flush()
