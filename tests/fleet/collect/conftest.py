"""Databases: SQLite, memory, and a real PostgreSQL on a socket of its own where the system has one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from shoestring.fleet.collect.memory import MemoryStore
from shoestring.fleet.collect.store import open_store

USERS = ("postgres", "nobody")
"""Of the system, to run the server as where we are root: it refuses that."""


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if not found:
        pytest.skip("PostgreSQL's server is not installed")
    return found[-1].parent


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in USERS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("we are root, and there is no other user to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgres():
    """Address of an empty server, ended afterwards."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries, user = _binaries(), _user()
    folder = Path(tempfile.mkdtemp(prefix="shoestring-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "user": user, "cwd": folder}
    try:
        data = folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "fleet", "-A", "trust", "-E", "UTF8", "--no-sync"], **run
        )
        settings = f"-k {folder} -h '' -c fsync=on"
        subprocess.run([binaries / "pg_ctl", "-D", data, "-w", "-o", settings, "-l", folder / "log", "start"], **run)
        try:
            yield f"postgresql://fleet@/postgres?host={folder}"
        finally:
            subprocess.run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    """Each kind of store, empty."""
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "sqlite":
        made = open_store(str(tmp_path / "reports.sqlite"), writing=True)
    else:
        import psycopg

        url = request.getfixturevalue("postgres")
        with psycopg.connect(url, autocommit=True) as base:
            base.execute("DROP TABLE IF EXISTS reports, shoestring_fleet")
        made = open_store(url, writing=True)
    yield made
    made.close()
