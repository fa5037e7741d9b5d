"""The device side needs no rights: it runs as nobody, without capabilities, on a root that cannot be written to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory import make_bundle_parts
from null_bundles import make_null_bundle
from shoestring.bundle import pack
from shoestring.bundle.bom import with_bom

SRC = Path(__file__).parents[2] / "src"
NOBODY = 65534
START_S = 60.0
NAKED = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--bounding-set=-all",
         "--inh-caps=-all")  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that everybody may read, with a bundle and a picture; pytest's own is for its user alone."""
    with tempfile.TemporaryDirectory(prefix="shoestring-privilege-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_null_bundle(folder / "null.shoe")
        parts = make_bundle_parts()
        pack(folder / "bill.shoe", *with_bom(parts.manifest, parts.evidence, parts.blobs))
        pixels = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "p.png")
        (folder / "state").mkdir()
        (folder / "state").chmod(0o777)
        yield folder


@cache
def interpreter() -> str:
    """A Python of this version that nobody may run: that of a virtual environment can stand in the tester's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    words = "import subprocess, sys, numpy; subprocess.run([sys.executable, '-c', ''], check=True)"
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        command = [*as_nobody(), path, "-c", words]
        if Path(path).exists() and subprocess.run(command, env=environment(), cwd="/", check=False).returncode == 0:
            return path
    pytest.skip(f"NOT TESTED as another user: no {name} that one may run")


def ours(*words: object) -> list[str]:
    return [interpreter(), "-P", "-m", "shoestring.cli.main", *map(str, words)]


def environment() -> dict[str, str]:
    """Nothing of the tester's own: no home, no cache, no place for bytecode."""
    found = os.pathsep.join((str(SRC), sysconfig.get_path("purelib")))
    return {"PATH": os.environ["PATH"], "PYTHONPATH": found, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}


def as_nobody() -> list[str]:
    if os.geteuid() != 0:
        return []  # we have no rights to drop
    if shutil.which("setpriv") is None:
        pytest.skip("NOT TESTED as another user: root without setpriv")
    return list(NAKED)


def read_only(place: Path) -> list[str]:
    """A mount namespace whose root is read-only, but for the state folder; then nobody without capabilities."""
    inner = [*(("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")), "sh", "-c"]
    script = (
        f"mount --make-rprivate / && mount --bind {place}/state {place}/state && "
        'mount -o remount,bind,ro / && exec "$@"'
    )
    probe = [*inner, script, "sh", "sh", "-c", f"! touch {place}/w 2>/dev/null && touch {place}/state/w"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED on a read-only root: {done.stderr.strip() or 'no mount namespace here'}")
    return [*inner, script, "sh", *as_nobody()]


def rights_of(command: list[str]) -> dict[str, str]:
    """The lines of /proc/self/status that a process started so sees of itself."""
    told = subprocess.run([*command, "cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    return dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)


def test_the_rights_are_really_gone(place: Path) -> None:
    """Else the tests below would show nothing."""
    told = rights_of(as_nobody())
    assert told["Uid"].split()[0] != "0"
    if os.geteuid() == 0:
        assert {int(told[key], 16) for key in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {0}
        assert told["NoNewPrivs"] == "1"


@pytest.mark.parametrize("where", ["whole", "read-only"])
def test_run_needs_no_rights(place: Path, where: str) -> None:
    prefix = as_nobody() if where == "whole" else read_only(place)
    command = [*prefix, *ours("run", place / "null.shoe", place / "p.png", "--json")]
    done = subprocess.run(command, env=environment(), cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answers"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["whole", "read-only"])
def test_serve_needs_no_rights_and_writes_only_its_journal(place: Path, where: str) -> None:
    pytest.importorskip("uvicorn", reason="serving needs uvicorn")
    prefix = as_nobody() if where == "whole" else read_only(place)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    journal = place / "state" / f"{where}.jsonl"
    before = set(place.rglob("*"))
    words = ours("serve", place / "null.shoe", "--port", port, "--decisions", journal)
    process = subprocess.Popen(
        [*prefix, *words], env=environment(), cwd="/", stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stderr is not None
        begun = time.monotonic()
        while "page is at" not in (line := process.stderr.readline()):
            assert line and time.monotonic() - begun < START_S, line
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/classify", (place / "p.png").read_bytes(), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())["rung"].endswith("@null")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert set(place.rglob("*")) - before <= {journal, place / "state" / "w"}
    assert journal.stat().st_size > 0


def test_a_place_that_cannot_be_written_to_is_an_error_of_ours(place: Path) -> None:
    """The saboteur of the tests above: where writing is refused, it is seen."""
    words = [*read_only(place), *ours("bom", place / "bill.shoe", "-o", place / "no.json")]
    done = subprocess.run(words, env=environment(), cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1 and "cannot write" in done.stderr
    assert not (place / "no.json").exists()
