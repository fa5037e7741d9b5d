"""A whole fleet on this machine: a site made by the workshop's verbs, a web server, a collector, agents as processes.

What stands in for the servers of the devices calls `begin`, `confirm` and `fail` of their slots as `serve` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from brokers import free_port
from null_bundles import make_null_bundle
from shoestring.base.canonical import decode, sha256_hex
from shoestring.base.errors import DataError
from shoestring.cli.main import main
from shoestring.device.agent.queue import DONE, Done
from shoestring.device.slots import Slots

GROUP = "porch"
PATIENCE_S = 30.0
NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/nginx-access.log;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  types {{ application/json json; application/octet-stream shoe delta; }}
  server {{
    listen 127.0.0.1:{port} backlog=512;
    root {site};
    location /metadata/timestamp.json {{ add_header Cache-Control "no-cache"; }}
    location / {{ add_header Cache-Control "public, max-age=31536000, immutable"; }}
  }}
}}
"""


def shoestring(*words: object, may: tuple[int, ...] = (0,)) -> int:
    """A verb of the command line, in this process; its exit code."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        code = main([str(word) for word in words])
    assert code in may, f"shoestring {' '.join(map(str, words))} ended with {code}"
    return code


class Site:
    """The workshop and its repository.

    Args:
        folder: to work in.
        waves: of the group, per cents.
    """

    def __init__(self, folder: Path, waves: str) -> None:
        self.folder, self.path = folder, folder / "site"
        shoestring("fleet", "init", self.path, "--no-passphrase")
        shoestring("fleet", "group", self.path, GROUP, "--waves", waves)
        self.root = self.path / "metadata" / "1.root.json"

    def bundle(self, number: int) -> tuple[Path, str]:
        """A bundle that runs on the null runtime, and its hash."""
        path = self.folder / f"bundle-{number}.shoe"
        make_null_bundle(path, busy_us=number)
        return path, sha256_hex(path.read_bytes())

    def publish(self, path: Path) -> None:
        shoestring("fleet", "publish", self.path, path, "--group", GROUP, "--allow-unsigned")

    def promote(self, *more: object, may: tuple[int, ...] = (0,)) -> int:
        return shoestring("fleet", "promote", self.path, "--group", GROUP, *more, may=may)

    def revoke(self, sha256: str, to: str) -> None:
        shoestring("fleet", "revoke", self.path, sha256, "--to", to)


class Program:
    """A process that is ended, whatever happens."""

    def __init__(self, words: list[str], log: Path, **environment: str) -> None:
        self.words, self.log = words, log
        self.environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Program:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment
            )
        return self

    def end(self, how: int = signal.SIGTERM, patience_s: float = PATIENCE_S) -> int | None:
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(how)
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def nginx(folder: Path, site: Path) -> tuple[Program, int]:
    """A real nginx that serves the site; its port."""
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, port=port, site=site))
    words = [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(settings), "-p", str(folder)]
    return Program(words, folder / "nginx.log").start(), port


def collector(folder: Path, *more: str) -> tuple[Program, int, Path]:
    """The collector of reports, by its verb; its port and its database."""
    port, base = free_port(), folder / "fleet.sqlite"
    words = [sys.executable, "-m", "shoestring.cli.main", "fleet", "collect", "--db", str(base), "--port", str(port)]
    made = Program([*words, *more], folder / "collector.log").start()
    until(lambda: answers(f"http://127.0.0.1:{port}/v1/health"), "the collector does not answer")
    return made, port, base


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0):
            return True
    except OSError:
        return False


def until(true, what: str, patience_s: float = PATIENCE_S, every_s: float = 0.1) -> None:
    by_s = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < by_s, what
        time.sleep(every_s)


@dataclass
class Device:
    """One device: its slots and its agent.

    Attributes:
        kills: how often its agent was killed.
    """

    root: Path
    agent: Program
    kills: int = 0
    name: str = field(default="")

    @property
    def slots(self) -> Slots:
        return Slots(self.root)

    @property
    def id(self) -> str:
        """Its id, once it has one."""
        path = self.root / "agent" / "device.pem"
        if not self.name and path.exists():
            from shoestring.trust.key_files import load_private_key

            self.name = load_private_key(path).public.key_id
        return self.name

    @property
    def done(self) -> Done:
        """Counts of its reports."""
        path = self.root / "agent" / "reports" / DONE
        return decode(path.read_bytes(), Done, DataError)

    @property
    def waiting(self) -> int:
        """Reports that wait."""
        folder = self.root / "agent" / "reports"
        return sum(path.name[:1].isdigit() for path in folder.iterdir()) if folder.is_dir() else 0

    def runs(self, sha256: str) -> bool:
        """Whether this bundle runs, for good."""
        if not self.root.is_dir():
            return False
        held = self.slots.active()
        return held is not None and (held.sha256, held.state) == (sha256, "good")

    def serve(self, bad: frozenset[str]) -> None:
        """What the device's server does: start what is on trial, and say how it goes."""
        if not (self.root / "slots.json").exists():
            return
        slots = self.slots
        held = slots.active()
        if held is None or held.state != "trial":
            return
        started = slots.begin()
        if started.sha256 in bad:
            slots.fail("crashed", "it crashed at the third picture", started)
        else:
            slots.confirm(started)


def device(folder: Path, number: int, site: Site, repository: str, report: str, every: str) -> Device:
    """A device whose agent is not started yet."""
    root = folder / f"device-{number:03d}"
    words = [
        sys.executable, "-m", "shoestring.cli.main", "agent", "--slots", str(root), "--repository", repository,
        "--root", str(site.root), "--group", GROUP, "--every", every, "--report", report,
    ]  # fmt: skip
    return Device(root, Program(words, folder / f"device-{number:03d}.log"))


def losses(devices: list[Device], base: Path) -> list[str]:
    """What is missing, doubled or dropped: every report that a device let go of is in the database exactly once.

    One that still waits may be there too: the agent was ended between the collector's answer and its own note of it.
    """
    with contextlib.closing(sqlite3.connect(f"{base.as_uri()}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT device, sequence, COUNT(*) FROM reports GROUP BY device, sequence").fetchall()
    held: dict[str, dict[int, int]] = {}
    for name, sequence, count in rows:
        held.setdefault(name, {})[sequence] = count
    found = []
    for one in devices:
        done, here = one.done, held.pop(one.id, {})
        if done.dropped or done.rejected or done.damaged:
            found.append(f"{one.root.name}: {json.dumps(done.__dict__)}")
        more = len(here) - done.through
        if sorted(here) != list(range(1, len(here) + 1)) or not 0 <= more <= one.waiting or set(here.values()) - {1}:
            found.append(f"{one.root.name}: {done.through} reports were sent, the collector has {sorted(here)}")
    return [*found, *(f"a stranger {name} reported" for name in held)]


def said(base: Path, state: str, bundle: str) -> set[str]:
    """Devices that reported this of a bundle."""
    with contextlib.closing(sqlite3.connect(f"{base.as_uri()}?mode=ro", uri=True)) as opened:
        words = "SELECT DISTINCT device FROM reports WHERE state = ? AND bundle = ?"
        return {name for (name,) in opened.execute(words, (state, bundle))}
