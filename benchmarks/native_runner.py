"""A compiled program by itself: its memory and the time from start to answer, measured by a small launcher in C."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.chips.host import this_machine
from shoestring.native.compiling import build_library, build_runner, prepare
from shoestring.native.targets import host_target

if TYPE_CHECKING:
    from collections.abc import Sequence

# Python's own memory would be counted: Linux hands the peak of the forking process on to its child.
LAUNCHER = r"""
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec start, end;
    struct rusage used;
    int status;
    if (argc < 2) return 2;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = fork();
    if (child == 0) {
        execv(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%ld %.4f\n", used.ru_maxrss,
           1e3 * (double)(end.tv_sec - start.tv_sec) + 1e-6 * (double)(end.tv_nsec - start.tv_nsec));
    return 0;
}
"""
TRIALS = 9


@dataclass(frozen=True)
class Alone:
    """A runner measured in fresh processes.

    Args:
        peak_kb: largest resident memory, KiB, weights and input included.
        answer_ms: from its start to its end with the output written, median.
    """

    peak_kb: int
    answer_ms: float


@dataclass(frozen=True)
class Built:
    """A compiled model.

    Args:
        library: for the runtime `native`.
        runner: for the command line.
        library_bytes: code and weights on disk.
        compile_seconds: from ONNX to the library.
    """

    library: Path
    runner: Path
    arena_bytes: int
    weights_bytes: int
    library_bytes: int
    compile_seconds: float


def build(model: Path, name: str, threads: int, folder: Path, cc: str | None) -> Built:
    """Compile for this machine; always anew, since the compiler is what is measured."""
    machine = this_machine()
    target = host_target(machine.isa, machine.arch)
    library, runner = folder / f"{name}.so", folder / f"{name}_run"
    start = time.perf_counter()
    program = prepare(model, name)
    made = build_library(program, [target], threads, library, cc)
    seconds = time.perf_counter() - start
    build_runner(program, target, threads, runner, cc)
    return Built(library, runner, made.arena_bytes, made.weights_bytes, library.stat().st_size, seconds)


def alone(command: Sequence[str]) -> Alone:
    """Run a command in fresh processes.

    Args:
        command: an absolute path and arguments.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, launcher = Path(scratch) / "launch.c", Path(scratch) / "launch"
        source.write_text(LAUNCHER)
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", str(launcher), str(source)], check=True)
        said = [
            subprocess.run([str(launcher), *command], check=True, capture_output=True, text=True).stdout.split()[-2:]
            for _ in range(TRIALS)
        ]
    times = sorted(float(ms) for _, ms in said)
    return Alone(max(int(kb) for kb, _ in said), times[len(times) // 2])


def runner_command(runner: Path, shape: Sequence[int], folder: Path, outputs: int) -> list[str]:
    """The runner on one seeded image."""
    image: Any = np.random.default_rng(0).standard_normal(tuple(shape), np.float32)
    given = folder / "image.bin"
    image.tofile(given)
    return [str(runner), str(given), *(str(folder / f"answer{i}.bin") for i in range(outputs))]
