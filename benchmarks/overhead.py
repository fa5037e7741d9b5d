"""What we add to a bare call of a runtime: in this process, and with the engine in a process of its own.

    python benchmarks/overhead.py                       # the null model alone
    python benchmarks/overhead.py demo.shoe             # and the rungs of a bundle on native and ONNX Runtime
    python benchmarks/overhead.py --memory              # resident memory of the device side without a model

`bare` hands the runtime a tensor that lies ready, and `in process, prepared` does so through our session. `in process`
is `DirectEngine.infer`, from uint8 pixels to checked outputs; its peer is the `plain script`, which makes the tensor by
numpy's arithmetic and hands it to the runtime.
`supervised` is `SupervisedEngine.infer`, with pixels and outputs in shared memory. The hand-over alone is timed too,
that way and with everything through a socket. All take turns, a block at a time; medians with the 10th and 90th
percentile, and what is added to another way: the median over the rounds of the difference within one round, in
wall-clock time and in processor time of the calling thread. The goals are judged by processor time at one thread, which
other programs on the machine lengthen less; at more threads by the wall clock.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from null_bundles import CHEAP, make_null_bundle
from results import align
from shoestring.bundle import open_bundle
from shoestring.device.player import Player
from shoestring.device.supervise import Care, DirectEngine, SupervisedEngine
from shoestring.device.supervise.passing import empty
from shoestring.device.supervise.worker import ProcessWorker
from shoestring.runtimes.guard_process import Question
from shoestring.runtimes.native import NativeSession
from shoestring.runtimes.ort import OrtSession

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.domain.preprocess import Preprocess

BLOCK, ROUNDS = 20, 25
RUNTIMES = ("native", "onnxruntime", "null")
GOAL_SHARE, GOAL_MS = 0.03, 0.1
PEERS = {"in process, prepared": "bare", "in process": "plain script", "supervised": "in process"}


@dataclass
class Contestant:
    """One way to an answer.

    Args:
        name: in the table.
        call: one frame.
        times_ms: of every frame.
        medians_ms: of every block.
        cpu_ms: processor time of this thread in every block, for a frame.
    """

    name: str
    call: Callable[[], object]
    times_ms: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def block(self) -> None:
        """Time BLOCK frames after two that are not timed."""
        self.call()
        self.call()
        times, cpu = [], []
        for _ in range(BLOCK):
            busy, start = time.thread_time_ns(), time.perf_counter_ns()
            self.call()
            times.append((time.perf_counter_ns() - start) / 1e6)
            cpu.append((time.thread_time_ns() - busy) / 1e6)
        self.cpu_ms.append(statistics.median(cpu))
        self.times_ms += times
        self.medians_ms.append(statistics.median(times))


def bare(session: Any, prepared: np.ndarray) -> Callable[[], object]:
    """The runtime's own call, with everything that can be done once done before."""
    feeds = {session.inputs[0].name: prepared}
    if isinstance(session, OrtSession):
        engine, names = session._session, [spec.name for spec in session.outputs]
        return lambda: engine.run(names, feeds)
    if isinstance(session, NativeSession):
        given = np.require(prepared, requirements=("C", "A"))
        shapes = [tuple(length or 1 for length in spec.shape) for spec in session.outputs]
        made = [np.empty(shape, spec.dtype) for shape, spec in zip(shapes, session.outputs, strict=True)]
        ins = (ctypes.c_void_p * 1)(given.ctypes.data)
        outs = (ctypes.c_void_p * len(made))(*(array.ctypes.data for array in made))
        state, invoke = session._state.ctypes.data, session._program.invoke
        return lambda: (invoke(state, ins, outs), given, made)
    return lambda: session._infer(feeds)


def plain_script(session: Any, pixels: np.ndarray, spec: Preprocess) -> Callable[[], object]:
    """What one writes without us: float arithmetic on the whole picture, then the runtime's own call."""
    name = session.inputs[0].name
    mean, std, scale = np.float32(spec.mean), np.float32(spec.std), np.float32(spec.scale)

    def prepare() -> np.ndarray:
        if spec.dtype == "uint8":
            whole = pixels[np.newaxis]
        else:
            whole = ((pixels.astype(np.float32) * scale - mean) / std)[np.newaxis]
        return np.ascontiguousarray(whole.transpose(0, 3, 1, 2) if spec.layout == "nchw" else whole)

    if isinstance(session, OrtSession):
        return lambda: session._session.run(None, {name: prepare()})
    if isinstance(session, NativeSession):
        out = np.empty([length or 1 for length in session.outputs[0].shape], session.outputs[0].dtype)
        ins, outs = (ctypes.c_void_p * 1)(), (ctypes.c_void_p * 1)(out.ctypes.data)
        state, invoke = session._state.ctypes.data, session._program.invoke

        def native() -> object:
            tensor = prepare()
            ins[0] = tensor.ctypes.data
            return invoke(state, ins, outs), tensor

        return native
    return lambda: session._infer({name: prepare()})


def measure(path: Path, rung: str, threads: int | None) -> list[Contestant]:
    """Every way to an answer of one rung, in turns."""
    care = Care(warm=False, memory_bytes=4 << 30)
    with (
        open_bundle(path) as bundle,
        Player(bundle, rung=rung, threads=threads) as player,
        DirectEngine(bundle, rung=rung, threads=threads) as direct,
        SupervisedEngine(bundle, rung=rung, threads=threads, care=care, fall=False) as supervised,
        Piped(bundle.manifest.preprocess, player) as piped,
    ):
        spec = bundle.manifest.preprocess
        supervised.wait_ready(120)
        held = supervised._keeper._active
        assert held is not None
        assert isinstance(held.worker, ProcessWorker)
        process = held.worker._process
        pixels = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, spec.channels)).astype(np.uint8)
        single = player._loaded[0].single
        prepared = single.prepare(pixels)
        question = Question({"do": "nothing"}, "running", 10.0, often=True)
        block = empty(player.outputs(pixels).values.size)
        ways = [
            Contestant("bare", bare(single.session, prepared)),
            Contestant("in process, prepared", lambda: single.run(prepared)),
            Contestant("plain script", plain_script(single.session, pixels, single.spec)),
            Contestant("in process", lambda: direct.infer(pixels)),
            Contestant("supervised", lambda: supervised.infer(pixels)),
            Contestant("pipe, hand-over alone", lambda: piped.pass_over(pixels)),
            Contestant("shared memory, hand-over alone", lambda: hand_over(process, pixels, question, block)),
        ]
        for turn in range(ROUNDS + 1):
            for one in ways:
                one.block()
            if turn == 0:  # the first round warms up
                for one in ways:
                    one.times_ms, one.medians_ms, one.cpu_ms = [], [], []
    return ways


def hand_over(process: Any, pixels: np.ndarray, question: Question, block: np.ndarray) -> None:
    """Pixels into shared memory, a question that nobody works on, outputs out of it."""
    process.inputs.write_from(pixels)
    process.ask(question)
    process.outputs.read_into(block)


class Piped:
    """A process that takes pixels through a socket and sends as many outputs back: the plain way.

    Args:
        spec: of the pixels.
        player: whose outputs tell how many come back.
    """

    CODE = (
        "import socket, sys, numpy as np\n"
        "s = socket.socket(fileno=int(sys.argv[1])); pixels = np.empty(int(sys.argv[2]), np.uint8)\n"
        "out = bytes(int(sys.argv[3])); view = memoryview(pixels)\n"
        "while True:\n"
        "    got = 0\n"
        "    while got < len(view):\n"
        "        more = s.recv_into(view[got:])\n"
        "        if not more: sys.exit()\n"
        "        got += more\n"
        "    s.sendall(out)\n"
    )

    def __init__(self, spec: Any, player: Player) -> None:
        shape = (spec.height, spec.width, spec.channels)
        self._back = player.outputs(np.zeros(shape, np.uint8)).values.size * 4
        self._ours, theirs = socket.socketpair()
        size = str(int(np.prod(shape)))
        command = [sys.executable, "-c", self.CODE, str(theirs.fileno()), size, str(self._back)]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=(theirs.fileno(),))

    def pass_over(self, pixels: np.ndarray) -> bytes:
        """There and back."""
        self._ours.sendall(pixels.reshape(-1).data)
        got = b""
        while len(got) < self._back:
            got += self._ours.recv(self._back - len(got))
        return got

    def __enter__(self) -> Piped:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.wait()


def table(title: str, ways: Sequence[Contestant], threads: int | None) -> str:
    """The ways to an answer with what each adds to the bare call."""
    named = {one.name: one for one in ways}
    goal = f"goal: {GOAL_SHARE:.0%} or {GOAL_MS} ms"
    rows = [[title, "median ms", "10 % - 90 %", "added to", "ms", "", "cpu ms", "", goal]]
    for one in ways:
        low, high = np.percentile(one.times_ms, (10, 90))
        row = [one.name, f"{statistics.median(one.times_ms):.4f}", f"{low:.4f} - {high:.4f}"]
        base = PEERS.get(one.name)
        if base is None:
            rows.append([*row, "", "", "", "", "", ""])
            continue
        peer = named[base]
        wall, cpu = added(one.medians_ms, peer.medians_ms), added(one.cpu_ms, peer.cpu_ms)
        ms, share = cpu if threads == 1 else wall
        kept = "kept" if share <= GOAL_SHARE or ms <= GOAL_MS else "missed"
        here = one.name.startswith("in process")
        words = [f"{cpu[0]:+.4f}", f"{cpu[1]:+.1%}", kept] if here else ["", "", ""]
        rows.append([*row, base, f"{wall[0]:+.4f}", f"{wall[1]:+.1%}", *words])
    return align(rows)


def added(mine: Sequence[float], bare_: Sequence[float]) -> tuple[float, float]:
    """Of blocks that were run beside each other: ms and share, medians."""
    pairs = list(zip(mine, bare_, strict=True))
    return statistics.median(a - b for a, b in pairs), statistics.median(a / b - 1 for a, b in pairs)


def rungs(path: Path) -> list[str]:
    """Those on the runtimes that are measured here."""
    with open_bundle(path) as bundle:
        return [rung.name for rung in bundle.manifest.ladder.rungs if rung.candidate.runtime in RUNTIMES]


MEMORY_STEPS = (
    ("python alone", "pass"),
    ("numpy", "import numpy"),
    ("bundle, device, supervision", "import shoestring.device.supervise"),
    (
        "an agent that supervises a null model",
        "from shoestring.device.supervise import SupervisedEngine, Care; from pathlib import Path; import numpy as np\n"
        "e = SupervisedEngine(Path(sys.argv[1])); e.wait_ready(60)\n"
        "for _ in range(2000): e.infer(np.zeros((8, 8, 3), np.uint8))",
    ),
)


def memory(path: Path) -> str:
    """Resident memory of fresh processes, without and with what the device side imports."""
    rows = [["", "resident MB", "peak MB"]]
    for name, code in MEMORY_STEPS:
        text = (
            f"import sys\n{code}\nfrom pathlib import Path\n"
            "held = {l.split(':')[0]: int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('Vm')}\n"
            "print(held['VmRSS'] / 1e3, held['VmHWM'] / 1e3)"
        )
        run = subprocess.run([sys.executable, "-c", text, str(path)], capture_output=True, text=True, check=True)
        rows.append([name, *(f"{float(one):.1f}" for one in run.stdout.split())])
    return align(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, help="a bundle whose rungs are measured too")
    parser.add_argument("--threads", type=int, help="of the runtimes; default: each rung's own")
    parser.add_argument("--memory", action="store_true", help="print resident memory instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        null = Path(folder) / "null.shoe"
        make_null_bundle(null)
        if arguments.memory:
            print(memory(null))
            return
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {ROUNDS} rounds of {BLOCK} frames\n")
        print(table("null, 8x8", measure(null, CHEAP, 1), 1), flush=True)
        large = Path(folder) / "large.shoe"
        make_null_bundle(large, size=416, busy_us=20_000)
        print("\n" + table("null that works for 20 ms, 416x416", measure(large, CHEAP, 1), 1), flush=True)
        for rung in rungs(arguments.bundle) if arguments.bundle else ():
            print("\n" + table(rung, measure(arguments.bundle, rung, arguments.threads), arguments.threads), flush=True)


if __name__ == "__main__":
    main()
