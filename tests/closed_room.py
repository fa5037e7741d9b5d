"""Where a closed process is tempted: something to steal, something to break, and somebody to talk to."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def furnished(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Something to steal, something to break, and somebody to talk to."""
    for name in ("outside", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "secret").write_text("SECRET")
    (tmp_path / "mine" / "own").touch()
    (tmp_path / "mine" / "readable").write_text("readable")
    victim = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(10, print); time.sleep(60)"])
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    here = os.open(tmp_path, os.O_PATH)
    unix.bind(f"/proc/self/fd/{here}/service")  # the path of a socket is short
    unix.listen()
    with tcp, unix:
        yield {
            "secret": str(tmp_path / "outside" / "secret"),
            "outside": str(tmp_path / "outside"),
            "own": str(tmp_path / "mine" / "own"),
            "readable": str(tmp_path / "mine" / "readable"),
            "tcp": str(tcp.getsockname()[1]),
            "unix": str(tmp_path / "service"),
            "victim": str(victim.pid),
        }
    os.close(here)
    victim.kill()
    victim.wait()
