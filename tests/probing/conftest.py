"""A real sshd on loopback, with keys, port and configuration of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoestring.probing.ssh import Board

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)


@pytest.fixture(scope="session")
def board_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `mktemp` makes its directories on that board: nobody else's runs are seen there."""
    return tmp_path_factory.mktemp("board-tmp")


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory, board_tmp: Path) -> Iterator[Board]:
    """A server of our own: keys, port and configuration in one directory."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("needs openssh-server and openssh-client")
    home = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
    (home / "authorized").write_text((home / "user.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\nUsePAM no\n"
        f"StrictModes no\nPermitRootLogin yes\nPidFile {home}/pid\nSetEnv TMPDIR={board_tmp}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(home / "config")], stderr=subprocess.DEVNULL)
    options = (f"IdentityFile={home}/user", f"UserKnownHostsFile={home}/known", "StrictHostKeyChecking=accept-new")
    alone = ("IdentitiesOnly=yes", "IdentityAgent=none")
    made = Board(f"{getpass.getuser()}@127.0.0.1", port, (*options, *alone))
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield made
    server.terminate()
    server.wait()
