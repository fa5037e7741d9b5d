"""What docs/serve.md shows works, and what it says of statuses is what the description of the routes says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from serving import ROOT, Server
from shoestring.device.serve import Settings
from shoestring.device.serve.pages import STATIC

TEXT = (ROOT / "docs/serve.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S) for line in block.splitlines() if line]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_work_as_they_stand(serve: Callable[..., Server], tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (9, 80, 200)).save(tmp_path / "photo.jpg")
    server = serve({}, "--side", "2")
    assert len(COMMANDS) >= 6
    for line in COMMANDS:
        words = shlex.split(line.replace("localhost:8400", server.address).replace("MODEL", "tiny"))
        assert words[0] == "curl"
        done = subprocess.run([*words, "-sS", "--fail"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout, line


def test_the_table_of_statuses_is_whole() -> None:
    described = json.loads((STATIC / "openapi.json").read_text())
    statuses = {
        code
        for item in described["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
        for code in operation["responses"]
    } - {"200", "304", "404"}
    told = set(
        re.findall(
            r"\b\d{3}\b",
            "".join(line.split("|")[1] for line in TEXT.splitlines() if line.startswith(("| 4", "| 5"))),
        )
    )
    assert told == statuses | {"431"}  # of the connection, before there is a route


def test_the_default_address_is_the_one_it_names() -> None:
    assert f"http://{Settings.host}:{Settings.port}/" in TEXT
