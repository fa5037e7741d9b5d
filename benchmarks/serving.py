"""How many requests a second the server answers on one core, how long they take, and how much memory it takes.

    python benchmarks/serving.py [--seconds 3] [--rounds 5] [--concurrency 1,8,32] [--json FILE]

The model answers at once (a null engine: sixteen values of 32x32x3 pixels), so everything that is timed is ours and
uvicorn's. The server is bound to one core, the client to another. Rounds are interleaved between the contestants:

- ours, binary: the Open Inference Protocol with pixels and outputs in binary;
- ours, JSON: the same request as JSON text;
- bare uvicorn: an application that reads the same bytes and answers the same bytes, and does nothing else.

It prints the median over rounds of the rate with its spread, the median and the 99th percentile of the latency, how
long a request keeps the server's core busy, and the resident memory of the server after its imports, after its start
and after the load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SIDE, VALUES = 32, 16
CONTESTANTS = ("ours, binary", "ours, JSON", "bare uvicorn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round of one contestant")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", default="1,8,32")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--be", choices=("ours", "bare"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be is not None:
        serve(arguments.be)
        return
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    levels = [int(word) for word in arguments.concurrency.split(",")]
    found = measure(levels, arguments.rounds, arguments.seconds, cores[0])
    print(table(found, arguments.rounds, arguments.seconds, shared=len(cores) == 1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1))


# --- the server ----------------------------------------------------------------------------------------------------


def serve(kind: str) -> None:
    """Be a server; tells port and memory on stdout."""
    from shoestring.device.serve import Service, Settings, build_app, run_server
    from shoestring.device.serve.metrics import resident_bytes
    from shoestring.domain.preprocess import Preprocess

    imported = resident_bytes()
    if kind == "bare":
        bare(imported)
        return
    settings = Settings(port=0, client_rate=1e6, whole_rate=1e6, queue=64)
    app = build_app(Service("null", "1", NullEngine(), Preprocess(SIDE, SIDE), VALUES), settings)
    run_server(app, settings, say=lambda line: None, started=lambda port: tell(port, imported))


class NullEngine:
    """Answers the same values at once."""

    def __init__(self) -> None:
        from types import SimpleNamespace

        import numpy as np

        values = np.linspace(0, 1, VALUES, dtype=np.float32)
        self.said: Any = SimpleNamespace(outputs=values, rung="null", busy_s=0.0, stages=1, probabilities=False)

    def infer(self, pixels: Any) -> Any:
        return self.said


def bare(imported: int | None) -> None:
    """The least that an application on uvicorn can do."""
    import uvicorn

    body = b"x" * 300
    head = [(b"content-type", b"application/octet-stream"), (b"content-length", b"300")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            tell(self.servers[0].sockets[0].getsockname()[1], imported)

    Server(
        uvicorn.Config(
            app, port=0, http="httptools", loop="asyncio", ws="none", lifespan="off", interface="asgi3",
            log_config=None, access_log=False, proxy_headers=False, server_header=False,
        )
    ).run()  # fmt: skip


def tell(port: int, imported: int | None) -> None:
    print(json.dumps({"port": port, "imported": imported}), flush=True)


# --- the client ----------------------------------------------------------------------------------------------------


def request_of(contestant: str) -> bytes:
    """The bytes of one request."""
    count = SIDE * SIDE * 3
    pixels = bytes(i % 256 for i in range(count))
    tensor: dict[str, Any] = {"name": "pixels", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3]}
    if contestant == "ours, JSON":
        text = json.dumps({"inputs": [{**tensor, "data": list(pixels)}]}, separators=(",", ":")).encode()
        body, more = text, b""
    else:
        tensor["parameters"] = {"binary_data_size": count}
        wanted = [{"name": "outputs", "parameters": {"binary_data": True}}]
        text = json.dumps({"inputs": [tensor], "outputs": wanted}, separators=(",", ":")).encode()
        body, more = text + pixels, b"Inference-Header-Content-Length: %d\r\n" % len(text)
    head = b"POST /v2/models/null/infer HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n" % (more, len(body))
    return head + body


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it has its answer."""

    def __init__(self, request: bytes, until_s: float, latencies: list[float]) -> None:
        self.request, self.until_s, self.latencies = request, until_s, latencies
        self.ended = asyncio.get_running_loop().create_future()
        self.buffer, self.asked_s = b"", 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked_s = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, blank, body = self.buffer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self.latencies.append(time.perf_counter() - self.asked_s)
        if not head.startswith(b"HTTP/1.1 200 "):
            self.ended.set_exception(RuntimeError(self.buffer[:500]))
            self.transport.close()
            return
        self.buffer = b""
        if time.perf_counter() < self.until_s:
            self.ask()
        else:
            self.ended.set_result(None)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or RuntimeError("the server hung up"))


async def load(port: int, request: bytes, concurrency: int, seconds: float) -> tuple[float, list[float]]:
    """Requests a second, and the latencies, s."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: Client(request, began + seconds, latencies), "127.0.0.1", port))[1]
        for _ in range(concurrency)
    ]
    await asyncio.gather(*(client.ended for client in clients))
    return len(latencies) / (time.perf_counter() - began), latencies


def measure(levels: list[int], rounds: int, seconds: float, core: int) -> dict[str, Any]:
    """Rates, latencies and memory of every contestant."""
    servers = {kind: start(kind, core) for kind in ("ours", "bare")}
    found: dict[str, Any] = {"runs": [], "memory": {}}
    try:
        for kind, (process, said) in servers.items():
            found["memory"][kind] = {"imported": said["imported"], "started": resident(process.pid)}
        for _ in range(rounds):
            for level in levels:
                for contestant in CONTESTANTS:
                    process, said = servers["bare" if contestant == "bare uvicorn" else "ours"]
                    before = processor_s(process.pid)
                    rate, latencies = asyncio.run(load(said["port"], request_of(contestant), level, seconds))
                    latencies.sort()
                    p50, p99 = latencies[len(latencies) // 2], latencies[int(0.99 * len(latencies))]
                    spent = 1e6 * (processor_s(process.pid) - before) / len(latencies)
                    found["runs"].append([contestant, level, rate, 1000 * p50, 1000 * p99, spent])
        for kind, (process, _) in servers.items():
            found["memory"][kind]["loaded"] = resident(process.pid)
    finally:
        for process, _ in servers.values():
            process.terminate()
            process.wait()
    return found


def start(kind: str, core: int) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    process = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, __file__, "--be", kind], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def processor_s(pid: int) -> float:
    """Processor time that a process has taken, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(found: dict[str, Any], rounds: int, seconds: float, *, shared: bool) -> str:
    where = "the same core (there is only one)" if shared else "another core"
    lines = [
        f"null model, one core for the server, the client on {where}; {rounds} rounds of {seconds:g} s, interleaved",
        "",
        "| contestant    | clients | requests/s (lowest-highest) | p50 ms | p99 ms | core µs |",
        "|:--------------|--------:|----------------------------:|-------:|-------:|--------:|",
    ]
    levels = sorted({run[1] for run in found["runs"]})
    for contestant in CONTESTANTS:
        for level in levels:
            runs = [run for run in found["runs"] if run[:2] == [contestant, level]]
            rates = [run[2] for run in runs]
            rate = f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"
            p50, p99, spent = (statistics.median(run[place] for run in runs) for place in (3, 4, 5))
            lines.append(f"| {contestant:13} | {level:7} | {rate:>27} | {p50:6.2f} | {p99:6.2f} | {spent:7.0f} |")
    lines.append("")
    for kind, memory in found["memory"].items():
        parts = ", ".join(f"{when} {count / 1e6:.1f} MB" for when, count in memory.items() if count is not None)
        lines.append(f"resident memory, {kind}: {parts}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
