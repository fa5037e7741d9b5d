"""Tasks on an existing Ray cluster, of which this machine is a node. The only file that knows Ray.

Ray starts, places and repeats; what comes back is checked as from any other worker. Shoestring must be installed on all
nodes, in the same version: tasks go by name.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import ChildCrashedError, ChildError, MissingExtraError, ShoestringError
from shoestring.engines.protocol import RETRIES, Blob, Task
from shoestring.engines.work import perform, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

AHEAD = 2
"""Tasks that are handed over for each CPU, so that none waits for us; more would fill the object store with inputs."""
NAMESPACE = "shoestring"
CONNECT_SECONDS = 10.0
START = "start one with `ray start --head`, or name it with --ray-address HOST:6379"


def check_listening(address: str) -> None:
    """Raises ChildError when nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        return  # `auto`, `local` or a URL, which Ray knows better
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ChildError(f"there is no Ray cluster at {address!r}: {error}", hint=START) from None


def remote_task(
    target: str, arguments: dict[str, Any], names: tuple[str, ...], *contents: bytes
) -> tuple[dict[str, Any], bytes]:
    """Runs on a node: the blobs become files there, since runtimes load files."""
    import ray

    with tempfile.TemporaryDirectory(prefix="shoestring-") as folder:
        paths = {}
        for place, (name, content) in enumerate(zip(names, contents, strict=True)):
            paths[name] = Path(folder) / str(place)
            paths[name].write_bytes(content)
        head, result = perform(target, arguments, paths)
    return {**head, "node": ray.get_runtime_context().get_node_id()}, result


class RayEngine:
    """A Ray cluster.

    Args:
        address: as `ray.init` takes it; None for the cluster of this machine, or $RAY_ADDRESS.
        workers: the most tasks at a time; None for one a CPU of the cluster.

    Attributes:
        answered: tasks by the node that did them.

    Raises:
        MissingExtraError: Ray is not installed.
        ChildError: there is no cluster at the address.
    """

    name = "ray"

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray = ray
        self._joined = not ray.is_initialized()
        if self._joined:
            where = address or os.environ.get("RAY_ADDRESS") or "auto"
            check_listening(where)
            try:
                ray.init(address=where, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                raise ChildError(
                    f"there is no Ray cluster at {where!r}: {str(error).splitlines()[0] if str(error) else error!r}",
                    hint=START,
                ) from None
        self._most = workers
        self.answered: Counter[str] = Counter()
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES)(remote_task)

    @property
    def workers(self) -> int:
        """As many tasks as run at a time: nodes may come and go."""
        cpus = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return cpus if self._most is None else min(cpus, self._most)

    def map(self, tasks: Sequence[Task], done: Callable[[int, int], None]) -> list[bytes]:
        """See `Engine.map`."""
        uses = Counter(blob.sha256 for task in tasks for blob in task.blobs.values())
        held: dict[str, Any] = {}
        running: dict[Any, int] = {}
        results: dict[int, bytes | ShoestringError] = {}
        waiting: Iterator[int] = iter(range(len(tasks)))
        failed = False
        try:
            while True:
                while not failed and len(running) < self._window():
                    number = next(waiting, None)
                    if number is None:
                        break
                    running[self._start(tasks[number], held)] = number
                if not running:
                    break
                (ready, *_), _ = self._ray.wait(list(running), num_returns=1)
                number = running.pop(ready)
                results[number] = self._result(tasks[number], ready)
                failed = failed or isinstance(results[number], ShoestringError)
                for blob in tasks[number].blobs.values():
                    uses[blob.sha256] -= 1
                    if not uses[blob.sha256]:
                        held.pop(blob.sha256, None)  # the cluster may forget it
                done(len(results), len(tasks))
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)
        for number in sorted(results):
            result = results[number]
            if isinstance(result, ShoestringError):
                raise result
        return [data for number in range(len(tasks)) if isinstance(data := results[number], bytes)]

    def _window(self) -> int:
        return self.workers * (AHEAD if self._most is None else 1)

    def _start(self, task: Task, held: dict[str, Any]) -> Any:
        return self._remote.remote(
            task.target,
            dict(task.arguments),
            tuple(task.blobs),
            *(self._put(blob, held) for blob in task.blobs.values()),
        )

    def _put(self, blob: Blob, held: dict[str, Any]) -> Any:
        if blob.sha256 not in held:
            held[blob.sha256] = self._ray.put(blob.read())
        return held[blob.sha256]

    def _result(self, task: Task, reference: Any) -> bytes | ShoestringError:
        try:
            head, result = self._ray.get(reference)
            self.answered[head["node"]] += 1
            return unpack(task.target, head, result)
        except ShoestringError as error:
            return error
        except self._ray.exceptions.RayError as error:
            words = str(error).strip().splitlines()
            reason = words[-1] if words else repr(error)
            return ChildCrashedError(
                f"{task.target} did not end on the Ray cluster: {type(error).__name__}: {reason}",
                hint="see `ray status`; Shoestring must be installed on every node, in this version",
            )

    def close(self) -> None:
        """Leave the cluster, if this engine joined it; the cluster goes on."""
        if self._joined and self._ray.is_initialized():
            self._ray.shutdown()

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
