"""Two hundred real agents against a real nginx over a bad link: does every one get there, and is anything lost?

    python benchmarks/agents.py [--agents 200] [--every 30s] [--seed 0] [--json FILE]

Each agent is a process of `shoestring agent` with slots of its own and a bundle on the null runtime. Between them and
nginx, and between them and the collector (`shoestring fleet collect`), stands a proxy of ours that cuts connections at
random bytes, lets some starve, and takes the whole link down for seconds. All the while agents are killed with SIGKILL
and started again. The site is made by the workshop's own verbs:

1. a first release for all,
2. a new one: a wave of 10 % (half of a small fleet), its reports are judged, then all take it, as a delta;
3. a bad one that passes its golden set and crashes when it serves: the wave goes back, promotion is refused, it is
   revoked;
4. the second release is revoked: all go back to the first, those that hold it without a download.

What stands in for the servers of the devices is one thread that calls begin, confirm and fail of their slots as `serve`
does. At the end every device runs what the repository says, and every report (device, sequence) is in the collector's
database exactly once; anything else ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))

from flapping import Link, Weather  # noqa: E402
from loopback_fleet import Device, Site, collector, device, losses, nginx, said, until  # noqa: E402
from shoestring.domain.release import bin_of  # noqa: E402

WAVE, BATCH, PATIENCE_S = 10, 10, 1200.0
SMALL, SMALL_WAVE = 100, 50
"""Below so many agents the first wave is half of them: the word of one device proves nothing."""
STORM = Weather(cut=0.25, starve=0.01, bytes=(1, 60_000), up_s=25.0, down_s=4.0)
KILL_EVERY_S = 4.0


class Run:
    """All of it.

    Args:
        folder: to work in.
        count: of agents.
        every: period of their looks.
        seed: of everything that is drawn.
    """

    def __init__(self, folder: Path, count: int, every: str, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.share = WAVE if count >= SMALL else SMALL_WAVE
        self.site = Site(folder, f"{self.share},100")
        self.bundles = [self.site.bundle(number) for number in (1, 2, 3)]
        self.web, web_port = nginx(folder, self.site.path)
        # All devices come from one address here; a limit for each client would be one for the fleet.
        self.taking, port, self.base = collector(folder)
        self.links = [Link(web_port, STORM, seed), Link(port, STORM, seed + 1)]
        repository, report = (
            f"http://127.0.0.1:{self.links[0].port}",
            f"http://127.0.0.1:{self.links[1].port}/v1/reports",
        )
        self.devices = [device(folder, number, self.site, repository, report, every) for number in range(count)]
        self.bad = frozenset({self.bundles[2][1]})
        self.over = threading.Event()
        self.started_s = time.monotonic()
        self.lines: list[tuple[str, float]] = []

    def tell(self, words: str) -> None:
        now_s = time.monotonic() - self.started_s
        self.lines.append((words, now_s))
        print(f"{now_s:6.0f} s  {words}", file=sys.stderr, flush=True)

    def servers(self) -> None:
        """The servers of all devices."""
        while not self.over.is_set():
            for one in self.devices:
                one.serve(self.bad)
            self.over.wait(1.0)

    def killer(self) -> None:
        """Somebody pulls plugs."""
        rng = random.Random(self.seed + 2)
        while not self.over.wait(KILL_EVERY_S):
            one = rng.choice(self.devices)
            if one.agent.process is not None:
                one.agent.end(signal.SIGKILL)
                one.kills += 1
                one.agent.start()

    def boot(self) -> None:
        """All agents, some at a time."""
        for start in range(0, len(self.devices), BATCH):
            batch = self.devices[start : start + BATCH]
            for one in batch:
                one.agent.start()
            until(lambda batch=batch: all(one.id for one in batch), "agents do not start", PATIENCE_S)

    def all_run(self, which: int) -> None:
        sha256 = self.bundles[which][1]
        until(lambda: all(one.runs(sha256) for one in self.devices), f"not all run bundle {which + 1}", PATIENCE_S, 1.0)
        self.tell(f"all run bundle {which + 1}")

    def wave(self) -> set[str]:
        """Devices of the first wave."""
        return {one.id for one in self.devices if bin_of("porch", one.id) < self.share}

    def story(self) -> list[str]:
        """Live it; what went wrong."""
        wrong = []
        self.site.publish(self.bundles[0][0])
        self.site.promote("--without-reports")
        self.tell("bundle 1 is released to all; agents start")
        threading.Thread(target=self.servers, daemon=True).start()
        self.boot()
        self.tell("all agents are started")
        threading.Thread(target=self.killer, daemon=True).start()
        self.all_run(0)
        wave = self.wave()
        self.site.publish(self.bundles[1][0])
        self.tell(f"bundle 2 is released to the first wave, {len(wave)} devices")
        until(lambda: said(self.base, "good", self.bundles[1][1]) >= wave, "the wave does not report", PATIENCE_S, 1.0)
        self.site.promote("--reports", self.base, "--max-errors", "50%")
        self.tell("its reports are good, it is released to all")
        self.all_run(1)
        self.site.publish(self.bundles[2][0])
        bad = self.bundles[2][1]
        self.tell("bundle 3, which crashes, is released to the first wave")
        until(lambda: said(self.base, "rolled-back", bad) >= wave, "the wave does not go back", PATIENCE_S, 1.0)
        if self.site.promote("--reports", self.base, "--max-errors", "50%", may=(0, 3)) != 3:
            wrong.append("a bad release was promoted")
        self.site.revoke(bad, self.bundles[1][1])
        self.tell("all of the wave went back, promotion was refused, bundle 3 is revoked")
        ran = said(self.base, "trial", bad) | said(self.base, "rolled-back", bad) | said(self.base, "good", bad)
        if ran - wave:
            wrong.append(f"{len(ran - wave)} devices outside the wave had the bad bundle")
        self.all_run(1)
        self.site.revoke(self.bundles[1][1], self.bundles[0][1])
        self.tell("bundle 2 is revoked")
        self.all_run(0)
        return wrong

    def end(self) -> list[str]:
        """Let what waits be sent, end everything, and count."""
        self.memory = [pss for one in self.devices if (pss := pss_mb(one)) is not None]
        for link in self.links:
            link.calm()
        until(lambda: not any(one.waiting for one in self.devices), "reports wait", PATIENCE_S, 1.0)
        self.tell("no report waits")
        self.over.set()
        for one in self.devices:
            if one.agent.process is not None:
                one.agent.process.send_signal(signal.SIGTERM)
        for one in self.devices:
            one.agent.end()
        found = losses(self.devices, self.base)
        self.close()
        return found

    def close(self) -> None:
        """End whatever still runs."""
        self.over.set()
        for one in self.devices:
            one.agent.end(signal.SIGKILL)
        self.taking.end()
        self.web.end()
        for link in self.links:
            link.close()

    def figures(self) -> dict[str, object]:
        counts = [link.counts for link in self.links]
        log = (self.folder / "nginx-access.log").read_text(errors="replace").splitlines()
        kinds = Counter(kind for line in log for kind in ("delta", "shoe") if f".{kind} " in line and '" 20' in line)
        words = Counter(
            word
            for one in self.devices
            for line in one.agent.log.read_text(errors="replace").splitlines()
            for word in ("as a delta", "as a whole", "from this disk", "the delta was of no use")
            if word in line
        )
        return {
            "agents": len(self.devices),
            "seed": self.seed,
            "seconds": time.monotonic() - self.started_s,
            "agents killed": sum(one.kills for one in self.devices),
            "memory of an agent, PSS, MB: median": statistics.median(self.memory),
            "memory of an agent, PSS, MB: most": max(self.memory),
            "connections": sum(one.connections for one in counts),
            "cut at a random byte": sum(one.cut for one in counts),
            "broken or refused while the link was down": sum(one.broken + one.refused for one in counts),
            "starved": sum(one.starved for one in counts),
            "times the link was down": sum(one.flaps for one in counts),
            "requests that nginx served": len(log),
            "bundles and deltas asked for": dict(kinds),
            "activated": dict(words),
            "reports, each once": sum(one.done.through for one in self.devices),
        }


def pss_mb(one: Device) -> float | None:
    """Proportional share of memory (proc_pid_smaps(5)); None where the process has just gone."""
    process = one.agent.process
    try:
        text = Path(f"/proc/{process.pid if process else 0}/smaps_rollup").read_text()
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), None)
    return None if line is None else int(line.split()[1]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--every", default="30s", help="between two looks of an agent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agents-") as name:
        run = Run(Path(name), arguments.agents, arguments.every, arguments.seed)
        try:
            wrong = run.story() + run.end()
            figures = run.figures()
        finally:
            run.close()
    for title, value in figures.items():
        print(f"{title:45} {value:,.1f}" if isinstance(value, float) else f"{title:45} {value}")
    for words, at_s in run.lines:
        print(f"{at_s:7.0f} s  {words}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({**figures, "story": run.lines, "wrong": wrong}, indent=1))
    print("every device runs what the repository says, and nothing was lost" if not wrong else "\n".join(wrong))
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
