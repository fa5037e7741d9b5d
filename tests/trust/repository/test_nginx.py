"""The page's nginx configuration serves a repository: a real server, and downloads that go on."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from shoestring.base.errors import UnreachableError
from shoestring.trust.repository import Repository
from shoestring.trust.repository.source import open_source, read_small
from signed_repository import DEVICE, GROUP, NOW_S, Workshop

PAGE = Path(__file__).parents[3] / "docs" / "repository.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/sbin")


@pytest.mark.skipif(NGINX is None, reason="no nginx here")
def test_the_configuration_of_the_page(tmp_path: Path) -> None:
    assert NGINX is not None
    shop = Workshop()
    shop.release("one")
    for name, data in shop.files.items():
        (tmp_path / "fleet" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fleet" / name).write_bytes(data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.S)
    assert found is not None
    server = found[1].replace("8080", f"127.0.0.1:{port}").replace("/srv/fleet", str(tmp_path / "fleet"))
    folders = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""  # workers that may read the test's own folder
    (tmp_path / "nginx.conf").write_text(
        f"{user} daemon off; pid {tmp_path}/pid; error_log {tmp_path}/errors; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; {folders}\n{server} }}\n"
    )
    running = subprocess.Popen([NGINX, "-e", str(tmp_path / "errors"), "-c", str(tmp_path / "nginx.conf")])
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address)
        repository = Repository(tmp_path / "store", address, shop.root, lambda: NOW_S)
        release = repository.release(GROUP, DEVICE)
        assert release is not None
        part = tmp_path / f".{release.bundle_sha256}.part"
        part.write_bytes(shop.bundle[:100])
        stream = open_source(address).ask(f"targets/bundles/{release.bundle_sha256}.{release.bundle_sha256}.shoe", 100)
        assert stream is not None
        with stream:
            assert stream.start_bytes == 100
            assert stream.mark is not None
        repository.fetch(f"bundles/{release.bundle_sha256}.shoe", tmp_path / "out.shoe")
        assert (tmp_path / "out.shoe").read_bytes() == shop.bundle
        assert not part.exists()
    finally:
        running.terminate()
        running.wait()


def _wait(address: str) -> None:
    """Until it answers."""
    for _ in range(200):
        try:
            if read_small(open_source(address), "metadata/timestamp.json", 20_000):
                return
        except UnreachableError:
            time.sleep(0.05)
    raise AssertionError("nginx does not answer")
