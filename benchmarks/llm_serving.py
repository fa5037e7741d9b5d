"""What our server adds to a model that writes: time to the first token, tokens a second, and 100 users at once.

    python benchmarks/llm_serving.py [--rounds 12] [--tokens 64] [--threads 2] [--users 100] [--json FILE]

SmolLM2-135M-Instruct (Q4_1, from PyPI). Contestants, each in a process of its own with the model loaded, asked in turn
within each round, the order changing from round to round, with the same new prompt:

- bare: `xllamacpp.Server` called within its process, the way of its own README;
- engine: our writer, whose process hosts the same engine behind a local socket;
- server: the same behind our HTTP server, asked over TCP as a client would.

Time to the first token is from the request to the first piece of text at whoever asked; the rate is of the tokens after
it. It prints medians over rounds with the 10th and 90th percentiles, of the ratios to bare in the same round too.
Then users ask the server at the same moment: how many are answered, and how long they wait.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from language_material import smollm2

CONTESTANTS = ("bare", "engine", "server")
CONTEXT = 2048
WARM = 2
USER_TOKENS = 16
TOPICS = ("a river", "two old friends", "a small boat", "the last train", "bread", "a lost key", "winter", "a teacher")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--be", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be is not None:
        {"bare": be_bare, "engine": be_engine, "server": be_server}[arguments.be](arguments.threads)
        return
    asked = {name: Asked(name, arguments.threads) for name in CONTESTANTS}
    try:
        rows = measure(asked, arguments.rounds, arguments.tokens)
        crowd = at_once(asked["server"], arguments.users)
    finally:
        for one in asked.values():
            one.end()
    print(table(rows, arguments.rounds, arguments.tokens, arguments.threads))
    print()
    print(crowd_words(crowd))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"rows": rows, "crowd": crowd}, indent=1))


def prompt(number: int) -> str:
    """Another one each time, so that nothing is known from before; of about as many tokens."""
    return f"Story {number}. Tell me a long story about {TOPICS[number % len(TOPICS)]} and number {number}."


# --- contestants: processes that answer a line of JSON on stdin with a line on stdout ------------------------------


def be_bare(threads: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2())
    params.n_ctx, params.n_parallel, params.verbosity, params.cache_ram_mib = CONTEXT, 1, 1, 0
    params.n_batch = params.n_ubatch = 512
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)

    def ask(text: str, tokens: int) -> dict[str, Any]:
        watch = Watch()

        def piece(event: Any) -> bool:
            for one in event if isinstance(event, list) else [event]:
                watch.event(one)
            return False

        body = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0.0}
        server.handle_chat_completions({**body, "stream": True}, piece)
        return watch.figures()

    answer(ask)


def be_engine(threads: int) -> None:
    from shoestring.runtimes.llamacpp.asking import Options
    from shoestring.runtimes.llamacpp.writer import Writer

    writer = Writer(smollm2(), context=CONTEXT, threads=threads)

    def ask(text: str, tokens: int) -> dict[str, Any]:
        watch = Watch()
        options = Options(max_tokens=tokens, temperature=0.0, top_k=0, top_p=1.0, min_p=0.0)
        for piece in writer.chat([{"role": "user", "content": text}], options):
            watch.text(piece.text)
        return watch.figures()

    answer(ask)
    writer.close()


def be_server(threads: int) -> None:
    from shoestring.device.language.app import WriterApp
    from shoestring.device.language.garage import Garage
    from shoestring.device.language.jobs import Always
    from shoestring.device.language.llama import LlamaWriter
    from shoestring.device.language.nouns import Rungs
    from shoestring.device.language.service import WriterService
    from shoestring.device.serve import LiveState, Settings, run_server
    from shoestring.device.serve.written import Tokens
    from shoestring.runtimes.llamacpp.writer import Writer

    garage = Garage(lambda rung: LlamaWriter(Writer(smollm2(), context=CONTEXT, threads=threads)), {})
    with garage.lease("given"):
        pass
    tokens = Tokens()
    live = LiveState("smollm2", written=tokens.snapshot)
    service = WriterService("smollm2", Rungs(("given",)), garage, Always("given"), live, tokens)
    settings = Settings(port=0, client_rate=1e6, whole_rate=1e6, connections=512, client_connections=512)
    try:
        run_server(WriterApp(service, settings), settings, say=lambda line: None, started=tell)
    finally:
        garage.close()


def tell(value: Any) -> None:
    print(json.dumps(value), flush=True)


def answer(ask: Any) -> None:
    """Answer lines until there are no more."""
    tell("ready")
    for line in sys.stdin:
        tell(ask(**json.loads(line)))


class Watch:
    """When the pieces of an answer came."""

    def __init__(self) -> None:
        self.began_s = time.perf_counter()
        self.times: list[float] = []
        self.words: list[str] = []

    def text(self, text: str | None) -> None:
        if text:
            self.times.append(time.perf_counter())
            self.words.append(text)

    def event(self, event: Any) -> None:
        if isinstance(event, str | bytes):
            event = json.loads(event)
        for choice in event.get("choices", ()):
            self.text(choice.get("delta", {}).get("content"))

    def figures(self) -> dict[str, Any]:
        span = self.times[-1] - self.times[0]
        return {
            "first_ms": 1000 * (self.times[0] - self.began_s),
            "per_s": (len(self.times) - 1) / span,
            "pieces": len(self.times),
            "text": "".join(self.words),
        }


# --- asking them ---------------------------------------------------------------------------------------------------


class Asked:
    """A contestant's process."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        command = [sys.executable, __file__, "--be", name, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{name} did not start")
        self.told = json.loads(line)

    def ask(self, text: str, tokens: int) -> dict[str, Any]:
        if self.name == "server":
            return over_http(self.told, text, tokens)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"text": text, "tokens": tokens}) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def over_http(port: int, text: str, tokens: int) -> dict[str, Any]:
    """As a client that has a connection already would: the request is timed, not the connecting."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.connect()
    body = {"model": "smollm2", "messages": [{"role": "user", "content": text}], "max_tokens": tokens}
    watch = Watch()
    sent = json.dumps({**body, "temperature": 0, "stream": True})
    connection.request("POST", "/v1/chat/completions", sent, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        return {"status": response.status, "error": json.loads(response.read())["error"]["message"]}
    for line in response:
        if line.startswith(b"data: {"):
            watch.event(line[6:])
    connection.close()
    return {"status": 200, **watch.figures()}


def measure(asked: dict[str, Asked], rounds: int, tokens: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(-WARM, rounds):
        names = CONTESTANTS[number % 3 :] + CONTESTANTS[: number % 3]
        found = {name: asked[name].ask(prompt(number + WARM), tokens) for name in names}
        if len({one["text"] for one in found.values()}) != 1:
            sys.exit(f"the contestants wrote other texts: {found}")
        if number >= 0:
            rows.append({name: {k: v for k, v in one.items() if k != "text"} for name, one in found.items()})
    return rows


def at_once(server: Asked, users: int) -> dict[str, Any]:
    began_s = time.perf_counter()
    with ThreadPoolExecutor(users) as pool:
        found = list(pool.map(lambda n: over_http(server.told, prompt(1000 + n), USER_TOKENS), range(users)))
    seconds = time.perf_counter() - began_s
    well = [one for one in found if one["status"] == 200]
    firsts = sorted(one["first_ms"] / 1000 for one in well)
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return {
        "users": users,
        "answered": len(well),
        "seconds": seconds,
        "tokens_per_s": sum(one["pieces"] for one in well) / seconds,
        "first_median_s": firsts[len(firsts) // 2],
        "first_last_s": firsts[-1],
        "server_peak_mb": peak / 1000,
    }


# --- telling -------------------------------------------------------------------------------------------------------


def spread(values: list[float], digits: int) -> str:
    """Median, 10th and 90th percentile."""
    ordered = sorted(values)
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.1, 0.9))
    return f"{statistics.median(ordered):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(rows: list[dict[str, Any]], rounds: int, tokens: int, threads: int) -> str:
    lines = [
        f"{rounds} rounds, {tokens} tokens an answer, {threads} threads; medians (10th to 90th percentile)",
        "",
        "| contestant | first token, ms | more than bare, ms | tokens/s | ratio to bare |",
        "|:-----------|----------------:|-------------------:|---------:|--------------:|",
    ]
    for name in CONTESTANTS:
        firsts, rates = ([row[name][key] for row in rows] for key in ("first_ms", "per_s"))
        more = [row[name]["first_ms"] - row["bare"]["first_ms"] for row in rows]
        ratios = [row[name]["per_s"] / row["bare"]["per_s"] for row in rows]
        own = name == "bare"
        lines.append(
            f"| {name} | {spread(firsts, 1)} | {'' if own else spread(more, 1)} | {spread(rates, 1)} | "
            f"{'' if own else spread(ratios, 3)} |"
        )
    return "\n".join(lines)


def crowd_words(crowd: dict[str, Any]) -> str:
    return (
        f"{crowd['users']} users at once, {USER_TOKENS} tokens each: {crowd['answered']} answered in "
        f"{crowd['seconds']:.1f} s, {crowd['tokens_per_s']:.1f} tokens/s in all; the first token came after "
        f"{crowd['first_median_s']:.1f} s (median), at the last after {crowd['first_last_s']:.1f} s; the server's own "
        f"process held at most {crowd['server_peak_mb']:.1f} MB"
    )


if __name__ == "__main__":
    main()
