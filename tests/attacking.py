"""The tests' side of attack_server.py: hostile files go in by batches, verdicts come out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from attack_server import CASE_SECONDS, Verdict
from shoestring.base.quarantine import ONE_THREAD

CANARY = b"CANARY-of-the-machine-7f3a91"  # stands beside the model's directory; nobody may repeat it
BATCH = 50
MAX_DEATHS = 40  # whose words are kept
OURS = {"ModelError", "ChildError", "DataError", "UsageError"}
_START = "import sys; sys.path[:] = {path!r}; import attack_server; attack_server.serve()"


@dataclass
class Tally:
    """What came of many files.

    Args:
        outcomes: how many of each.
        faults: what must not be: a canary told, an answer of a kind of its own.
        deaths: messages of what was not caught, a few.
        slowest_s, most_grown_bytes: the worst of each.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    most_grown_bytes: int = 0

    def count(self, verdict: Verdict) -> None:
        self.outcomes[verdict.outcome] += 1
        self.slowest_s = max(self.slowest_s, verdict.seconds)
        self.most_grown_bytes = max(self.most_grown_bytes, verdict.grown_bytes)
        if verdict.outcome not in OURS | {"accepted"} and len(self.deaths) < MAX_DEATHS:
            self.deaths.append(f"{verdict.outcome}: {verdict.message[:200]}")

    @property
    def died(self) -> int:
        """Files that ended the process that read them."""
        return sum(count for name, count in self.outcomes.items() if name not in OURS | {"accepted"})

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} {name}" for name, count in self.outcomes.most_common())
        return f"{parts}; slowest {self.slowest_s:.2f} s, most memory {self.most_grown_bytes / 1e6:.0f} MB"


class Server:
    """A warm process and a directory whose neighbour is a secret.

    Args:
        root: scratch.
        warm: modules that it imports before it forks.

    `seconds` is how long one file may take by the clock.
    """

    def __init__(self, root: Path, warm: Iterable[str]) -> None:
        self.root, self.room, self.seconds = root, root / "model", CASE_SECONDS
        (root / "canary.bin").write_bytes(CANARY)
        start = _START.format(path=sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", start, *warm],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(ONE_THREAD), text=True,
        )  # fmt: skip

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(
        self,
        target: str,
        cases: list[Mapping[str, bytes]],
        main: str,
        *,
        walls: bool = True,
        furnish: Callable[[Path], None] | None = None,
        **more: str,
    ) -> list[Verdict]:
        """Let `target` read each case.

        Args:
            cases: the files of each, by name.
            main: the name of the one that is given to the reader.
            walls: whether the fork shuts itself in.
            furnish: puts into each directory what are no plain files.
            more: goes into every request.
        """
        shutil.rmtree(self.room, ignore_errors=True)
        requests = []
        for number, case in enumerate(cases):
            folder = self.room / str(number)
            folder.mkdir(parents=True)
            for name, data in case.items():
                (folder / name).write_bytes(data)
            (folder / "out").touch()
            if furnish is not None:
                furnish(folder)
            requests.append({"source": str(folder / main), "target": str(folder / "out"), **more})
        job = {"target": target, "requests": requests, "room": str(self.room), "walls": walls, "seconds": self.seconds}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return [Verdict(*answer) for answer in json.loads(self._process.stdout.readline())]

    def run(self, target: str, cases: Iterator[Mapping[str, bytes]], count: int, main: str, **more: str) -> Tally:
        """The first `count` cases, in batches; what was told is searched for the canary."""
        tally = Tally()
        while count > 0:
            batch = [next(cases) for _ in range(min(BATCH, count))]
            count -= len(batch)
            for number, verdict in enumerate(self.ask(target, batch, main, **more)):
                tally.count(verdict)
                out = (self.room / str(number) / "out").read_bytes()
                if CANARY in out or CANARY.decode() in verdict.message:
                    tally.faults.append(f"the canary was told: {verdict}")
        if not self.alive():
            tally.faults.append("the parent died")
        return tally


@contextmanager
def server(root: Path, *warm: str) -> Iterator[Server]:
    made = Server(root, warm)
    try:
        yield made
    finally:
        made.close()
