"""Compiled programs beside the runtimes that install from pip: time, share of the processor's peak, memory.

    python benchmarks/native_models.py
    python benchmarks/native.py --peer-python /path/to/venv/bin/python --out figures.json

Every contestant lives in a process of its own, pinned to the same cores (with SCHED_RR where the system permits), and
runs in interleaved rounds; whoever waits is stopped. Peers may live in another Python, which needs numpy, onnx, pip and
those of openvino, ai-edge-litert with tensorflow-cpu, ncnn with pnnx, iree-base-compiler with iree-base-runtime, and
apache-tvm that shall take part. A peer that is not installed or refuses a model is named with its reason.

LiteRT runs the same float network rebuilt in TensorFlow and quantized by its own converter. Memory is the largest
resident set of a contestant's process less that of Python and numpy alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from native_contestants import CONTESTANTS, ENGINES, KINDS, NATIVE, Contestant, prepared
from native_peak import Peak, measure_peak
from native_rounds import LeftOutError, Runner, can_be_realtime, interleave
from native_runner import Alone, Built, alone, build, runner_command
from native_tables import RATIO_GOALS, Bout, goal_lines, ladder_lines, lines_of
from shoestring.analysis import profile
from shoestring.base.errors import ShoestringError

if TYPE_CHECKING:
    from collections.abc import Sequence

CORE = 1
MEMORY_GOAL_KB, ARENA_GOAL_BYTES, ANSWER_GOAL_MS, COMPILE_GOAL_SECONDS = 8 * 1024, 600_000, 20.0, 30.0


@dataclass(frozen=True)
class Ground:
    """What all bouts share.

    Args:
        models: folder of the ONNX files.
        cache: folder for what peers' converters made.
        scratch: for compiled programs.
        python: of the peers.
        peers: engines that take part.
        seconds: for the rounds of one bout.
        rounds: of one bout.
        slow: who is so many times slower than the fastest plays no rounds.
        realtime: whether processes run with SCHED_RR.
        most_threads: programs are compiled for.
        cc: compiler of programs, or None for the first found.
    """

    models: Path
    cache: Path
    scratch: Path
    python: str
    peers: tuple[str, ...]
    seconds: float
    rounds: int
    slow: float
    realtime: bool
    most_threads: int
    cc: str | None


def cores_for(threads: int) -> list[int]:
    """The last `threads` of the first cores, so that core 0 is left to the system as long as possible."""
    return list(range(max(0, CORE + 1 - threads), max(CORE + 1, threads)))


def shape_of(path: Path) -> list[int]:
    return [axis.dim_value for axis in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]


def compiled(ground: Ground, model: str, source: str, known: dict[str, Built]) -> Built:
    """The program of a model, compiled once a run."""
    name = f"{model}_{source}"
    if name not in known:
        known[name] = build(ground.models / f"{name}.onnx", name, ground.most_threads, ground.scratch, ground.cc)
    return known[name]


def start(
    ground: Ground, item: Contestant, model: str, shape: Sequence[int], threads: int, known: dict[str, Built]
) -> tuple[Runner, str]:
    """A contestant's process and how its file was made. Raises LeftOutError."""
    if item.engine == NATIVE:
        try:
            path, note = compiled(ground, model, item.source, known).library, "compiled now"
        except ShoestringError as error:
            raise LeftOutError(" ".join(str(error).split())) from error
        python = sys.executable
    else:
        ready = prepared(item, model, ground.models, ground.cache, ground.python)
        if ready.path is None:
            raise LeftOutError(ready.note)
        path, note, python = ready.path, ready.note, ground.python
    request: dict[str, Any] = {"engine": item.engine, "model": str(path), "threads": threads, "shape": list(shape)}
    return Runner(python, request | item.settings, cores_for(threads), ground.realtime), note


def bout(ground: Ground, model: str, kind: str, threads: int, known: dict[str, Built]) -> Bout:
    """All contestants of a kind on one model."""
    source = ground.models / f"{model}_fp32.onnx"
    shape, macs = shape_of(source), profile(source).macs
    runners: dict[str, Runner] = {}
    left_out: dict[str, str] = {}
    notes: dict[str, str] = {}
    try:
        for item in CONTESTANTS:
            if item.kind != kind or item.engine not in ground.peers:
                continue
            try:
                runners[item.name], notes[item.name] = start(ground, item, model, shape, threads, known)
            except LeftOutError as error:
                left_out[item.name] = str(error)
        timings = interleave(runners, ground.seconds, ground.rounds, ground.slow)
    finally:
        for runner in runners.values():
            runner.close()
    return Bout(model, kind, threads, macs, timings, left_out, notes)


def floor_kb(ground: Ground) -> int:
    """Memory of a process with Python and numpy alone, KiB."""
    request = {"engine": "bare", "model": "", "threads": 1, "shape": [1, 3, 224, 224]}
    runner = Runner(ground.python, request, cores_for(1), realtime=False)
    try:
        return runner.peak_kb()
    finally:
        runner.close()


def alone_lines(ground: Ground, known: dict[str, Built]) -> tuple[list[str], dict[str, Alone]]:
    """Each program by itself: memory, start to answer, arena, size, compile time."""
    lines, found = [], {}
    for name, made in known.items():
        source = ground.models / f"{name}.onnx"
        outputs = len(onnx.load(source).graph.output)
        one = found[name] = alone(runner_command(made.runner, shape_of(source), ground.scratch, outputs))
        figures = (
            f"resident {one.peak_kb / 1024:.1f} MB, start to answer {one.answer_ms:.1f} ms, "
            f"arena {made.arena_bytes / 1e6:.3f} MB, weights {made.weights_bytes / 1e6:.2f} MB, "
            f"library {made.library_bytes / 1e6:.2f} MB, compiled in {made.compile_seconds:.1f} s"
        )
        lines.append(f"  {name}: {figures}")
        if name == "mobilenet_v2_int8":
            goals = (
                ("memory", one.peak_kb <= MEMORY_GOAL_KB),
                ("arena", made.arena_bytes <= ARENA_GOAL_BYTES),
                ("start", one.answer_ms <= ANSWER_GOAL_MS),
                ("compile time", made.compile_seconds <= COMPILE_GOAL_SECONDS),
            )
            lines.append("    goals: " + ", ".join(f"{what} {'reached' if met else 'MISSED'}" for what, met in goals))
    return lines, found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(RATIO_GOALS), help="names with commas between")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--peers", default=",".join(ENGINES), help=f"engines, of {', '.join(ENGINES)}")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=15.0, help="for one model, kind and number of threads")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slow", type=float, default=8.0, help="no rounds for who is so many times slower")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--cc", help="compiler of the programs")
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/shoestring"), help="holds models/ and peers/")
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    folder = given.folder.expanduser()
    threads = [int(count) for count in given.threads.split(",")]
    bouts: list[Bout] = []
    known: dict[str, Built] = {}
    with tempfile.TemporaryDirectory(prefix="native-benchmark-") as scratch:
        ground = Ground(
            models=folder / "models",
            cache=folder / "peers",
            scratch=Path(scratch),
            python=given.peer_python,
            peers=tuple(given.peers.split(",")),
            seconds=given.seconds,
            rounds=given.rounds,
            slow=given.slow,
            realtime=can_be_realtime(),
            most_threads=max(threads),
            cc=given.cc,
        )
        peak, floor = measure_peak(CORE, ground.realtime), floor_kb(ground)
        print(headline(ground, peak, floor), flush=True)
        for model in given.models.split(","):
            for kind in given.kinds.split(","):
                if kind == "mixed" and not (ground.models / f"{model}_int8float.onnx").exists():
                    continue
                for count in threads:
                    bouts.append(bout(ground, model, kind, count, known))
                    print("\n".join(lines_of(bouts[-1], peak, floor)), flush=True)
        lines, programs = alone_lines(ground, known)
    print("\n".join(["goals", *goal_lines(bouts, peak), "threads", *ladder_lines(bouts), "programs", *lines]))
    if given.out:
        figures = {
            "peak": asdict(peak) if peak else None,
            "floor_kb": floor,
            "bouts": [asdict(one) | {"ratio": asdict(one.ratio) if one.ratio else None} for one in bouts],
            "programs": {
                name: {**asdict(made), **asdict(programs[name]), "library": None, "runner": None}
                for name, made in known.items()
            },
        }
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


def headline(ground: Ground, peak: Peak | None, floor: int) -> str:
    said = "no AVX512-VNNI here, so no share of a peak"
    if peak is not None:
        said = f"peak of one core {peak.int8_gmacs:.0f} GMAC/s int8 (vpdpbusd), {peak.fp32_gmacs:.0f} fp32"
    order = "SCHED_RR" if ground.realtime else "no real-time priority"
    return f"{said}; cores {cores_for(1)} and up, {order}; Python and numpy alone take {floor / 1024:.1f} MB"


if __name__ == "__main__":
    main()
