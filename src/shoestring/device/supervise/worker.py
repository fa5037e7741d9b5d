"""One engine process as its supervisor holds it: started, asked whether it is ready, given frames, ended."""

from __future__ import annotations

import queue
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shoestring.base.errors import EngineFaultError
from shoestring.device.supervise.passing import are_finite, empty, unpack
from shoestring.runtimes.guard_process import GuardProcess, Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.bundle import Bundle
    from shoestring.device.supervise.nouns import Pixels, Reply

_INFER = {"do": "infer"}
SERVE = "shoestring.device.supervise.child:serve"


@dataclass(frozen=True)
class Order:
    """What a process shall hold.

    Args:
        rung: name, or CASCADE.
        memory_bytes: peak resident memory that it may have; None for no limit.
        load_s: until it must be ready, s.
    """

    rung: str
    memory_bytes: int | None
    load_s: float


@dataclass(frozen=True)
class Ready:
    """A process that has loaded its rung.

    Args:
        golden: inputs that were replayed.
        frame_s: that one frame takes, s.
    """

    golden: int
    frame_s: float


class Worker(Protocol):
    """An engine process, or what passes for one in a virtual soak."""

    @property
    def rung(self) -> str:
        """That it was started for."""
        ...

    def poll(self) -> Ready | None:
        """Whether it is ready, without waiting. Raises what loading raised; EngineFaultError when it broke."""
        ...

    def infer(self, pixels: Pixels, seconds: float) -> Reply:
        """One frame. Raises EngineError, EngineFaultError; DataError for pixels that do not fit."""
        ...

    def alive(self) -> bool:
        """Whether the process is there; only asked of one that is ready."""
        ...

    def resident_bytes(self) -> int | None:
        """Memory held now; None when nothing tells."""
        ...

    def close(self) -> None:
        """Kill and reap it; a second call does nothing."""
        ...


class ProcessWorker:
    """A real process.

    Args:
        bundle: open and verified; it stays open as long as processes are started from it.
        order: what it shall hold.
        threads: of the runtime; None takes the rung's own count.
        count: outputs that the rung must give; None leaves it open.
    """

    def __init__(self, bundle: Bundle, order: Order, threads: int | None, count: int | None) -> None:
        spec = bundle.manifest.pixels
        self.rung = order.rung
        self._shape = (spec.height, spec.width, spec.channels)
        self._count = count
        self._names: list[str] = []
        self._frame = Question(_INFER, "running", 0.0, often=True)
        self._process = GuardProcess(
            f"the engine of rung {order.rung!r}",
            order.memory_bytes,
            serve=SERVE,
            files=(bundle.descriptor,),
            popen=start_for_good,
        )
        request = {
            "do": "load",
            "file": bundle.descriptor,
            "sha256": bundle.sha256,
            "rung": order.rung,
            "threads": threads,
        }
        self._process.put(Question(request, "loading", order.load_s))

    def poll(self) -> Ready | None:
        """See `Worker`."""
        if not self._process.poll(0):
            return None
        said = self._process.take()
        try:
            ready = Ready(int(said["golden"]), float(said["frame_s"]))
            count, self._names = int(said["count"]), [str(name) for name in said["names"]]
        except (ValueError, TypeError, KeyError) as error:
            raise EngineFaultError(
                f"{self._process.who} is ready with what makes no sense: {error}", "shape"
            ) from error
        if count < 1 or self._count not in (None, count):
            raise EngineFaultError(f"{self._process.who} gives {count} values, not {self._count}", "shape")
        self._count = count
        return ready

    def infer(self, pixels: Pixels, seconds: float) -> Reply:
        """See `Worker`."""
        self._process.check_there()
        self._process.inputs.write_from(pixels)
        if self._frame.seconds != seconds:
            self._frame = Question(_INFER, "running", seconds, often=True)
        self._process.ask(self._frame)
        block = empty(self._count or 0)
        try:
            self._process.outputs.read_into(block)
            reply = unpack(block, self._names)
        except ValueError as error:
            raise EngineFaultError(f"{self._process.who} answered what is no answer: {error}", "shape") from error
        if not are_finite(reply.outputs):
            raise EngineFaultError(f"{self._process.who} answered values that are not finite numbers", "nan")
        return reply

    def alive(self) -> bool:
        """See `Worker`."""
        return self._process.alive()

    def resident_bytes(self) -> int | None:
        """See `Worker`."""
        return self._process.resident_bytes()

    def close(self) -> None:
        """See `Worker`."""
        self._process.close()


class _Starter:
    """A thread that lives as long as ours does, and starts processes.

    A guarded process ends with the thread that started it (PR_SET_PDEATHSIG says "parent" and means the thread), and
    the threads of a server come and go.
    """

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="engine-starter", daemon=True).start()

    def run(self, *arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        """`subprocess.Popen`, called there."""
        done: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

        def start() -> None:
            try:
                done.put(subprocess.Popen(*arguments, **named))
            except OSError as error:
                done.put(error)

        self._wanted.put(start)
        made = done.get()
        if isinstance(made, OSError):
            raise made
        return made

    def _work(self) -> None:
        while True:
            self._wanted.get()()


_STARTERS: dict[str, _Starter] = {}
_STARTERS_LOCK = threading.Lock()


def start_for_good(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen` in a thread that ends with this process only. Raises OSError as that does."""
    with _STARTERS_LOCK:
        if "one" not in _STARTERS:
            _STARTERS["one"] = _Starter()
        starter = _STARTERS["one"]
    return starter.run(*arguments, **named)


__all__ = ["SERVE", "Order", "ProcessWorker", "Ready", "Worker", "start_for_good"]
