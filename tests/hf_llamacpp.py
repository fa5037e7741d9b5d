"""llama.cpp as a judge of GGUF files: its tokens of a text, and its log-probabilities of the next token."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
_SHOWN_WORD = 1_000.0  # put on one word whose text is a letter: answers are given for whole letters alone


class Judge:
    """A loaded file."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def log_probabilities(self, ids: list[int], vocabulary: int, letter: int) -> np.ndarray:
        """Of every word after `ids`; `letter` is the id of a word of one plain letter."""
        asked = {"prompt": ids, "max_tokens": 1, "n_probs": vocabulary, "temperature": 0}
        answer = self._server.handle_completions({**asked, "logit_bias": [[letter, _SHOWN_WORD]]})
        found = np.full(vocabulary, np.nan)
        for one in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
            found[one["id"]] = one["logprob"]
        return found

    def tokens(self, text: str, *, around: bool = False) -> list[int]:
        """Ids of a text, words of control among them; `around`: with first and last token."""
        asked = {"content": text, "add_special": around, "parse_special": True}
        data = json.dumps(asked).encode()
        request = urllib.request.Request(f"{self._server.listening_address}/tokenize", data)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return list(json.load(reply)["tokens"])


@contextmanager
def judge(path: Path) -> Iterator[Judge]:
    """Load a file with keys and values in float32."""
    asked = xllamacpp.CommonParams()
    asked.model.path, asked.n_ctx, asked.n_parallel, asked.verbosity = str(path), 256, 1, -1
    asked.warmup = False
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
    asked.cache_type_k = asked.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(asked)
    try:
        yield Judge(server)
    finally:
        del server
