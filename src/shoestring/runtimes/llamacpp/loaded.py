"""A model and a context of llama.cpp in this process: tokens in, logits out. Only for a process that may die."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import DataError, EngineError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shoestring.runtimes.llamacpp.library import Library

    Floats = np.ndarray[Any, np.dtype[np.float32]]


class Loaded:
    """One model, and one sequence of it.

    Args:
        library: that is checked.
        path: of a GGUF file.
        context: tokens that a sequence may have.
        batch: tokens that are read in one step, with the logits of each: `batch * vocabulary * 4` bytes.
        threads: that write, one token at a time.
        prefill_threads: that read, many tokens at a time.

    Raises:
        ModelError: llama.cpp refuses the file; with its own words.
        EngineError: it did not take the parameters as they were meant.
    """

    def __init__(
        self, library: Library, path: str, context: int, batch: int, threads: int, prefill_threads: int
    ) -> None:
        self._lib = library
        call = library.call
        self._model = call("llama_model_load_from_file", os.fsencode(path), call("llama_model_default_params"))
        if not self._model:
            raise ModelError(
                f"llama.cpp refuses the model: {self._said()}", hint="shoestring inspect FILE names faults"
            )
        self._context = call("llama_init_from_model", self._model, library.context_parameters(context, batch))
        if not self._context:
            raise EngineError(
                f"llama.cpp makes no context of {context} tokens: {self._said()}", hint="take a shorter one"
            )
        self._vocab = call("llama_model_get_vocab", self._model)
        self.vocabulary = int(call("llama_vocab_n_tokens", self._vocab))
        self.context, self.batch = int(call("llama_n_ctx", self._context)), batch
        self._memory = call("llama_get_memory", self._context)
        if not self._memory:
            raise ModelError("the model keeps no keys and values: it is no decoder", hint="encoders come as ONNX")
        self._check(context, batch)
        self.use_threads(threads, prefill_threads)
        self._tokens = call("llama_batch_init", batch, 0, 1)
        for place in range(batch):
            self._tokens.n_seq_id[place] = 1
            self._tokens.seq_id[place][0] = 0
        self._at = 0

    @property
    def trained_context(self) -> int:
        """Tokens that the model was trained for."""
        return int(self._lib.call("llama_model_n_ctx_train", self._model))

    @property
    def width(self) -> int:
        """Of the residual stream."""
        return int(self._lib.call("llama_model_n_embd", self._model))

    @property
    def layers(self) -> int:
        """Blocks."""
        return int(self._lib.call("llama_model_n_layer", self._model))

    def use_threads(self, threads: int, prefill_threads: int) -> None:
        """From now on: threads for one token at a time, and for many. Raises EngineError when they are not taken."""
        call = self._lib.call
        call("llama_set_n_threads", self._context, threads, prefill_threads)
        got = call("llama_n_threads", self._context), call("llama_n_threads_batch", self._context)
        if got != (threads, prefill_threads):
            raise EngineError(f"{self._lib.named} was set to {(threads, prefill_threads)} threads and has {got}")

    def tokenize(self, text: str, special: bool, add_start: bool) -> list[int]:
        """Ids of a text by the tokenizer in the file.

        Args:
            text: of any length.
            special: whether names of control tokens in it, such as `<|im_end|>`, mean those tokens.
            add_start: whether the token that starts a text goes ahead, where the model has one.
        """
        data = text.encode()
        room = len(data) + 8  # a token takes at least one byte, but for those that are added
        ids = (ctypes.c_int32 * room)()
        count = self._lib.call("llama_tokenize", self._vocab, data, len(data), ids, room, add_start, special)
        if count < 0:
            raise EngineError(f"llama.cpp makes {-count} tokens of a text of {len(data)} bytes")
        return ids[:count]

    def text(self, tokens: Sequence[int]) -> str:
        """The text that ids stand for; control tokens are written out."""
        self._check_ids(tokens)
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        room = 64
        while True:
            out = ctypes.create_string_buffer(room)
            count = self._lib.call("llama_detokenize", self._vocab, ids, len(tokens), out, room, False, True)
            if count >= 0:
                return out.raw[:count].decode(errors="replace")
            room = -count

    def restart(self) -> None:
        """Forget what was read."""
        self._lib.call("llama_memory_clear", self._memory, True)
        self._at = 0

    def read(self, tokens: Sequence[int], logits: str) -> Floats | None:
        """Read up to a batch of tokens after those before.

        Args:
            tokens: 1 to `batch`.
            logits: wanted of `all` of them, of the `last` or of `none`.

        Returns:
            (tokens, vocabulary) or (1, vocabulary), a view that the next call overwrites; None when none are wanted.

        Raises:
            DataError: more than the context holds, or an id that is no token.
            EngineError: llama.cpp fails.
        """
        count = len(tokens)
        if self._at + count > self.context:
            raise DataError(
                f"{self._at + count} tokens are more than the context of {self.context}", hint="take a longer context"
            )
        self._check_ids(tokens)
        batch = self._tokens
        batch.n_tokens = count
        for place, token in enumerate(tokens):
            batch.token[place] = token
            batch.pos[place] = self._at + place
            batch.logits[place] = logits == "all" or (logits == "last" and place == count - 1)
        code = self._lib.call("llama_decode", self._context, batch)
        if code != 0:
            raise EngineError(f"llama_decode of {count} tokens at {self._at} failed with code {code}: {self._said()}")
        self._at += count
        if logits == "none":
            self._lib.call("llama_synchronize", self._context)
            return None
        rows = count if logits == "all" else 1
        return np.ctypeslib.as_array(self._lib.call("llama_get_logits", self._context), (rows, self.vocabulary))

    def logits(self, tokens: Sequence[int]) -> Iterator[Floats]:
        """Logits after each token of one run, a batch at a time; each a view that the next overwrites."""
        self.restart()
        for start in range(0, len(tokens), self.batch):
            rows = self.read(tokens[start : start + self.batch], "all")
            assert rows is not None  # asked for
            yield rows

    def _check(self, context: int, batch: int) -> None:
        call = self._lib.call
        got = call("llama_n_batch", self._context), call("llama_n_ubatch", self._context)
        # llama.cpp may round a context up to a multiple of 256.
        if got != (batch, batch) or not context <= self.context < context + 256 or self.vocabulary < 1:
            raise EngineError(
                f"{self._lib.named} was asked for a context of {context} in batches of {batch} and has "
                f"{self.context} in batches of {got}: its parameters lie elsewhere than known",
                hint="use the version that the extra 'llm' of this release names",
            )

    def _check_ids(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not 0 <= token < self.vocabulary:
                raise DataError(f"{token} is no token of this model, which has {self.vocabulary}")

    def _said(self) -> str:
        words = "; ".join(self._lib.errors[-3:]) or "no reason given"
        self._lib.errors.clear()
        return words


__all__ = ["Loaded"]
