"""The server beside the model is light: what it imports, and what it holds after a thousand requests."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable

from serving import ROOT, SIDE, Server

MOST_BYTES = 70_000_000
"""The goal is 60 MB for the server alone. The process of these tests holds what makes pictures too, and how much of the
libraries' files the kernel maps differs by 5 MB from one installation to the next."""


def test_the_server_holds_at_most_sixty_megabytes_and_does_not_grow(serve: Callable[..., Server]) -> None:
    server = serve()
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": [5] * SIDE * SIDE * 3}
    body = json.dumps({"inputs": [tensor]}).encode()
    connection = http.client.HTTPConnection(server.address, timeout=30)

    def resident() -> float:
        connection.request("GET", "/metrics")
        for line in connection.getresponse().read().decode().splitlines():
            if line.startswith("process_resident_memory_bytes "):
                return float(line.split()[1])
        raise AssertionError("not told")

    found = []
    for _ in range(3):
        for _ in range(1000):
            connection.request("POST", "/v2/models/tiny/infer", body)
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
        found.append(resident())
    assert found[0] < MOST_BYTES
    assert found[2] - found[0] < 1_000_000


def test_importing_it_takes_no_extra() -> None:
    code = (
        "import sys, shoestring.device.serve; print(sorted(set(sys.modules) & "
        "{'uvicorn', 'httptools', 'h11', 'click', 'cv2', 'onnxruntime', 'scipy', 'rich', 'jinja2'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_it_is_named() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; sys.path.insert(0, sys.argv[1])\n"
        "from serving import make_service; from shoestring.device.serve import Settings, build_app, run_server\n"
        "from shoestring.base.errors import MissingExtraError\n"
        "settings = Settings(port=0)\n"
        "try: run_server(build_app(make_service(), settings), settings)\n"
        "except MissingExtraError as error: print(error.extra)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, ROOT / "tests"], capture_output=True, text=True, check=True)
    assert done.stdout == "serve\n"
