"""The inside of the process of a null writer: a server that speaks as llama.cpp's does, and its faults."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.runtimes.guard_child import Desk, answer_all
from shoestring.runtimes.llamacpp.bodies import CHAT, COMPLETION, EMBEDDING, TEMPLATE, TOKENIZE
from shoestring.runtimes.llamacpp.null import CANCELLED, POISON, NullPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINES = 1000 * "the null writer complains, as its prompt says\n"
_FLOOD_BYTES, _LONG_BYTES, _LEAK_BYTES = 20 * 1024**2, 20 * 1024**2, 1_000_000_000
_HOARD: list[bytes] = []


def serve(channel: int, inputs: int, outputs: int, counter: int, parent: int) -> None:
    """See `guard_child.serve`."""
    answer_all(NullDesk, channel, inputs, outputs, counter, parent)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, plan: NullPlan, context: int) -> None:
        super().__init__(address, _Handler)
        self.plan, self.context, self.cancelled = plan, context, 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hung up is no error."""


class NullDesk(Desk):
    """Loads a plan and serves it; arguments as of `Desk`."""

    def _do_load(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = canonical.decode(Path(request["path"]).read_bytes(), NullPlan, ModelError)
        except OSError as error:
            raise ModelError(f"this is no plan of a null writer: {error}") from error
        time.sleep(plan.load_s)
        if plan.loading == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if plan.loading == "hang":
            threading.Event().wait()
        if plan.loading == "refuse":
            raise ModelError("the null writer refuses its model, as that says")
        server = _Server(request["socket"], plan, request["context"])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return {"version": "null 1", "trained_context": request["context"]}

    def _do_wait(self, request: dict[str, Any]) -> None:
        threading.Event().wait()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: stderr is for faults."""

    def address_string(self) -> str:
        """A reader on a local socket has no address."""
        return "local"

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path in (CHAT, COMPLETION):
            self._write(body)
        elif self.path == TOKENIZE:
            self._whole(200, {"tokens": [_number(word) for word in body["content"].split()]})
        elif self.path == TEMPLATE:
            self._whole(200, {"prompt": _prompt(body)})
        elif self.path == EMBEDDING:
            vectors = [{"index": place, "embedding": _vector(text)} for place, text in enumerate(body["input"])]
            self._whole(200, {"data": vectors})

    def _write(self, body: dict[str, Any]) -> None:
        prompt = _prompt(body)
        tokens, context = len(prompt.split()), self.server.context
        if tokens >= context:
            error = {"type": "exceed_context_size_error", "code": 400, "n_prompt_tokens": tokens, "n_ctx": context}
            self._whole(400, {"error": error})
            return
        poison = next((word[len(POISON) :] for word in prompt.split() if word.startswith(POISON)), None)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in self._events(body, prompt, tokens, poison):
                self._send(b"data: " + json.dumps(event).encode() + b"\n\n")
            if poison != "cut":
                self._send(b"data: [DONE]\n\n")
            self._send(b"")
        except OSError:
            self.server.cancelled += 1
            self.close_connection = True

    def _events(self, body: dict[str, Any], prompt: str, tokens: int, poison: str | None) -> Iterator[dict[str, Any]]:
        plan = self.server.plan
        yield {"choices": [], "prompt_progress": {"processed": 0, "total": tokens}}
        time.sleep(plan.read_s)
        yield {"choices": [], "prompt_progress": {"processed": tokens, "total": tokens}}
        words, finish = self._answer(body, prompt, tokens)
        for place, word in enumerate(words):
            time.sleep(plan.token_s if place else 0.0)
            marks = {"content": [{"token": word, "logprob": plan.logprob, "top_logprobs": []}]}
            told = {"logprobs": marks} if body.get("logprobs") else {}
            text: dict[str, Any] = {"delta": {"content": word}} if self.path == CHAT else {"text": word}
            yield {"choices": [{"index": 0, "finish_reason": None, **text, **told}]}
            if poison is not None and place == 0:
                if poison == "cut":
                    return
                self._suffer(poison)
        yield {"choices": [{"index": 0, "finish_reason": finish, "delta": {}}]}
        usage = {"prompt_tokens": tokens, "completion_tokens": len(words)}
        yield {"choices": [], "usage": usage, "timings": {"prompt_ms": 1000 * plan.read_s, "predicted_ms": 0.0}}

    def _answer(self, body: dict[str, Any], prompt: str, tokens: int) -> tuple[list[str], str]:
        """The words of the answer, and why it ends after them."""
        plan = self.server.plan
        words = [f"{word} " for word in prompt.split()] if plan.echo else list(plan.words)
        if CANCELLED in prompt.split():
            words = [str(self.server.cancelled)]
        if "response_format" in body:
            words = [json.dumps({"answer": "".join(words).strip()})]
        most = min(body.get("max_tokens", len(words)), self.server.context - tokens)
        text, finish = "".join(words[:most]), "stop" if most >= len(words) else "length"
        ends = [text.index(stop) for stop in body.get("stop", []) if stop in text]
        kept, room = [], min(ends, default=len(text))
        for word in words[:most]:
            if room > 0:
                kept.append(word[:room])
            room -= len(word)
        return kept, "stop" if ends else finish

    def _suffer(self, poison: str) -> None:
        if poison == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
            threading.Event().wait()  # the signal may reach another thread first; this one says no more
        elif poison == "exit":
            os._exit(3)
        elif poison == "hang":
            threading.Event().wait()
        elif poison == "flood":
            with contextlib.suppress(OSError):
                for _ in range(_FLOOD_BYTES // len(_LINES)):
                    sys.stderr.write(_LINES)
                    sys.stderr.flush()
        elif poison == "garbage":
            self._send(b"data: <html>\n\n")
        elif poison == "long-line":
            self._send(b"data: " + b"x" * _LONG_BYTES + b"\n\n")
        elif poison == "leak":
            _HOARD.append(b"\1" * _LEAK_BYTES)
        elif poison == "refuse":
            self._send(b'error: {"code": 500, "message": "the null writer fails, as its prompt says"}\n\n')

    def _send(self, data: bytes) -> None:
        """One chunk (RFC 9112, section 7.1); an empty one ends the answer."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _whole(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _prompt(body: dict[str, Any]) -> str:
    """The text of a request, whichever form it has."""
    if "messages" in body:
        return " ".join(str(message["content"]) for message in body["messages"])
    prompt = body["prompt"]
    return prompt if isinstance(prompt, str) else " ".join(map(str, prompt))


def _number(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:2], "big")


def _vector(text: str) -> list[float]:
    """Eight numbers that hang on the text, of length one."""
    values = [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:8]]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


__all__ = ["NullDesk", "serve"]
