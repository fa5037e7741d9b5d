"""The inside of the process that writes text: llama.cpp's own server, on a socket that has no name for long."""

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path
from typing import Any

from shoestring.base.errors import EngineError, MissingExtraError, ModelError, UsageError
from shoestring.runtimes.guard_child import Desk, answer_all
from shoestring.runtimes.llamacpp.bodies import MODELS
from shoestring.runtimes.llamacpp.library import EXTRA, PACKAGE, version
from shoestring.runtimes.llamacpp.talking import get

CACHE_TYPES = ("f16", "q8_0", "q4_0")
"""Of keys and values. The last two halve and quarter their memory and cost some accuracy."""
NGRAM_KINDS = ("ngram-simple", "ngram-map-k", "ngram-cache")
"""Speculation that needs nothing beside the model. The first proposes what followed the same words earlier in the text,
the second keeps a table of that, the third weighs what followed shorter runs of words."""
DRAFT = "draft"
ANSWER_SECONDS = 30.0
"""For a question that reads and writes no text."""


def serve(channel: int, inputs: int, outputs: int, counter: int, parent: int) -> None:
    """See `guard_child.serve`."""
    answer_all(WriterDesk, channel, inputs, outputs, counter, parent)


class WriterDesk(Desk):
    """Loads a model and then does nothing here: requests go to the server's own threads, by its socket."""

    _server: Any = None

    def _do_load(self, request: dict[str, Any]) -> dict[str, Any]:
        engine = _engine()
        params = _params(engine, request)
        try:
            self._server = engine.Server(params)
        except RuntimeError as error:
            raise ModelError(
                f"llama.cpp refuses the model: {error}", hint="shoestring inspect FILE names faults of a file"
            ) from error
        if not Path(request["socket"]).exists():
            raise EngineError(
                f"{PACKAGE} {version()} does not listen where it was told to: {self._server.listening_address}"
            )
        return {"version": f"{PACKAGE} {version()}", "trained_context": _trained(request["socket"])}

    def _do_wait(self, request: dict[str, Any]) -> None:
        threading.Event().wait()  # until we are killed


def _trained(address: str) -> int:
    """Tokens that the model was trained for: the server makes no longer context, whatever it is asked for."""
    told = get(address, MODELS, ANSWER_SECONDS, PACKAGE)
    try:
        return int(told["data"][0]["meta"]["n_ctx_train"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise EngineError(f"{PACKAGE} {version()} does not tell the context of the model: {error!r}") from error


def _engine() -> Any:
    os.environ["GGML_NO_BACKTRACE"] = "1"  # it would start a debugger on itself when it aborts, for many seconds
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise MissingExtraError(PACKAGE, EXTRA) from error


def _params(engine: Any, request: dict[str, Any]) -> Any:
    """The engine's parameters. What serves nobody here is off: its pages, its metrics, its store of old prompts."""
    params = engine.CommonParams()
    params.model.path = request["path"]
    params.hostnames = [request["socket"]]
    params.verbosity = 1  # errors only: the last of them says why a model is refused
    params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    params.fit_params = False  # would shorten the context by what memory is free
    params.cache_ram_mib = 0  # old prompts in up to 8 GB of memory
    params.ctx_shift = False  # would drop the beginning of a text without a word
    params.use_jinja = True
    params.reasoning_format = engine.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    params.n_parallel = request["slots"]
    params.n_ctx = request["context"] * request["slots"]
    params.n_batch = params.n_ubatch = request["batch"]
    params.n_threads_http = request["slots"] + 2
    params.cpuparams.n_threads = request["threads"]
    params.cpuparams_batch.n_threads = request["prefill_threads"]
    params.cache_type_k = params.cache_type_v = _type(engine, request["cache_type"])
    if request["embedding"]:
        params.embedding = True
        params.pooling_type = engine.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if request["speculation"] is not None:
        _speculate(engine, params, request)
    return params


def _speculate(engine: Any, params: Any, request: dict[str, Any]) -> None:
    kind, path = request["speculation"], request["draft"]
    types = engine.common_speculative_type
    if kind == DRAFT:
        params.speculative.types = [types.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        params.speculative.draft.mparams.path = path
        params.speculative.draft.n_max = request["ahead"]
        params.speculative.draft.cpuparams.n_threads = request["threads"]
        params.speculative.draft.cpuparams_batch.n_threads = request["prefill_threads"]
    elif kind in NGRAM_KINDS:
        params.speculative.types = [getattr(types, f"COMMON_SPECULATIVE_TYPE_{kind.replace('-', '_').upper()}")]
        # llama.cpp proposes 48 tokens after 12 that agree: checking so many takes a cheap chip longer than writing few.
        for tables in (params.speculative.ngram_simple, params.speculative.ngram_map_k):
            tables.size_n, tables.size_m = request["match"], request["ahead"]
        params.speculative.draft.n_max = request["ahead"]
    else:
        raise UsageError(f"speculation {kind!r} is not known", hint=f"one of {', '.join((*NGRAM_KINDS, DRAFT))}")


def _type(engine: Any, name: str) -> Any:
    if name not in CACHE_TYPES:
        raise UsageError(f"cache type {name!r} is not known", hint=f"one of {', '.join(CACHE_TYPES)}")
    return getattr(engine.ggml_type, f"GGML_TYPE_{name.upper()}")


__all__ = ["CACHE_TYPES", "DRAFT", "NGRAM_KINDS", "WriterDesk", "serve"]
