"""The C functions of llama.cpp that the shared object of xllamacpp exports beside its Python class.

xllamacpp offers a server and no way to the log-probabilities of a whole text. Its shared object exports the functions
of llama.h, and they are called here through ctypes. Two structures of it change between versions: the parameters of
models and of contexts. Both are passed by value as a larger block of bytes, which is sound where a large structure
travels in memory (System V x86-64 ABI, section 3.2.3, class MEMORY) or by its address (AAPCS64, section 6.8.2, rule
B.4); of the contexts' only the first three numbers are written, and only after the defaults around them were
recognised. What is not recognised is refused by name: nothing is guessed.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from shoestring.base.errors import EngineError, MissingExtraError

PACKAGE, EXTRA = "xllamacpp", "llm"
STRUCTURE_BYTES = 1024
"""More than either structure of parameters takes (about 150 bytes in 2026)."""
DEFAULTS = {0: 512, 1: 2048, 2: 512, 3: 1}
"""Place (in 32-bit words) and value of n_ctx, n_batch, n_ubatch and n_seq_max in the default context parameters."""
CONTEXT_AT, BATCH_AT, MICROBATCH_AT = 0, 1, 2
TYPES_F16 = (1, 1)
"""type_k and type_v of the default context parameters as ggml numbers its types: keys and values in f16."""
MACHINES = ("x86_64", "aarch64", "arm64")
ERROR_LEVEL = 4
"""GGML_LOG_LEVEL_ERROR of ggml.h."""
_POINTER, _INT, _BOOL, _TEXT = ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool, ctypes.c_char_p


class Parameters(ctypes.Structure):
    """A structure whose fields are nobody's business."""

    _fields_ = (("bytes", ctypes.c_ubyte * STRUCTURE_BYTES),)


class Batch(ctypes.Structure):
    """llama_batch of llama.h: tokens with their positions and sequences, and whether their logits are wanted."""

    _fields_ = (
        ("n_tokens", _INT),
        ("token", ctypes.POINTER(_INT)),
        ("embd", _POINTER),
        ("pos", ctypes.POINTER(_INT)),
        ("n_seq_id", ctypes.POINTER(_INT)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(_INT))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


Log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)

SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (Log, _POINTER)),
    "llama_model_default_params": (Parameters, ()),
    "llama_context_default_params": (Parameters, ()),
    "llama_model_load_from_file": (_POINTER, (_TEXT, Parameters)),
    "llama_init_from_model": (_POINTER, (_POINTER, Parameters)),
    "llama_model_get_vocab": (_POINTER, (_POINTER,)),
    "llama_vocab_n_tokens": (_INT, (_POINTER,)),
    "llama_vocab_get_add_bos": (_BOOL, (_POINTER,)),
    "llama_model_n_ctx_train": (_INT, (_POINTER,)),
    "llama_model_n_embd": (_INT, (_POINTER,)),
    "llama_model_n_layer": (_INT, (_POINTER,)),
    "llama_n_ctx": (ctypes.c_uint32, (_POINTER,)),
    "llama_n_batch": (ctypes.c_uint32, (_POINTER,)),
    "llama_n_ubatch": (ctypes.c_uint32, (_POINTER,)),
    "llama_set_n_threads": (None, (_POINTER, _INT, _INT)),
    "llama_n_threads": (_INT, (_POINTER,)),
    "llama_n_threads_batch": (_INT, (_POINTER,)),
    "llama_batch_init": (Batch, (_INT, _INT, _INT)),
    "llama_decode": (_INT, (_POINTER, Batch)),
    "llama_synchronize": (None, (_POINTER,)),
    "llama_get_logits": (ctypes.POINTER(ctypes.c_float), (_POINTER,)),
    "llama_get_memory": (_POINTER, (_POINTER,)),
    "llama_memory_clear": (None, (_POINTER, _BOOL)),
    "llama_tokenize": (_INT, (_POINTER, _TEXT, _INT, ctypes.POINTER(_INT), _INT, _BOOL, _BOOL)),
    "llama_detokenize": (_INT, (_POINTER, ctypes.POINTER(_INT), _INT, _TEXT, _INT, _BOOL, _BOOL)),
}


def version() -> str:
    """Of the package, which is what names the engine in certificates.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(PACKAGE, EXTRA) from error


def shared_object() -> Path:
    """The file with the functions; the package is not imported for it.

    Raises:
        MissingExtraError: the package is not installed.
        EngineError: it holds no such file, or more than one.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtraError(PACKAGE, EXTRA)
    files = sorted(Path(found.origin).parent.glob("xllamacpp*.so"))
    if len(files) != 1:
        raise EngineError(f"{PACKAGE} {version()} holds {len(files)} shared objects, not 1", hint="install it again")
    return files[0]


class Library:
    """The functions by their names, after every guard has passed.

    Args:
        functions: the opened shared object, or a stand-in for it.
        named: version, for messages.

    Raises:
        EngineError: a function is missing, the defaults are not the known ones, or the processor is of no known kind.
    """

    def __init__(self, functions: Any, named: str) -> None:
        self.named = named
        self.errors: list[str] = []
        if platform.machine() not in MACHINES:
            raise _unknown(named, f"this processor is a {platform.machine()}; known are {', '.join(MACHINES)}")
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(functions, name, None)
            if function is None:
                raise _unknown(named, f"the function {name} is missing")
            function.restype, function.argtypes = result, arguments
        self._functions = functions
        self._log = Log(self._hear)  # kept: the engine holds its address
        self.call("llama_log_set", self._log, None)
        self.call("llama_backend_init")
        check_defaults(self._words("llama_context_default_params"), named)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one of SIGNATURES."""
        return getattr(self._functions, name)(*arguments)

    def context_parameters(self, context: int, batch: int) -> Parameters:
        """The defaults, but for the tokens of a context, and of a batch, all of whose logits may be asked for."""
        words = self._words("llama_context_default_params")
        words[[CONTEXT_AT, BATCH_AT, MICROBATCH_AT]] = context, batch, batch
        return Parameters.from_buffer_copy(words.tobytes())

    def _words(self, name: str) -> np.ndarray[Any, np.dtype[np.int32]]:
        return np.frombuffer(bytes(self.call(name)), np.int32).copy()

    def _hear(self, level: int, text: bytes, _: object) -> None:
        """Keep what the engine says of errors; llama.cpp tells 300 lines of each model that it loads."""
        if level == ERROR_LEVEL and len(self.errors) < 20:
            self.errors.append(text.decode(errors="replace").strip())


def check_defaults(words: np.ndarray[Any, np.dtype[np.int32]], named: str) -> None:
    """Hold the default context parameters against the known ones. Raises EngineError when they differ."""
    for place, value in DEFAULTS.items():
        if words[place] != value:
            raise _unknown(named, f"number {place} of the default context parameters is {words[place]}, not {value}")


def open_library() -> Library:
    """The installed one. Raises as `shared_object` and `Library`, and EngineError when it cannot be loaded."""
    path = shared_object()
    os.environ["GGML_NO_BACKTRACE"] = "1"  # it would start a debugger on itself when it aborts, for many seconds
    try:
        functions = ctypes.CDLL(str(path))
    except OSError as error:
        raise EngineError(f"{path.name} cannot be loaded: {error}", hint="install xllamacpp again") from error
    return Library(functions, f"{PACKAGE} {version()}")


def _unknown(named: str, why: str) -> EngineError:
    return EngineError(
        f"the form of {named} is not known: {why}", hint="use the version that the extra 'llm' of this release names"
    )


__all__ = ["DEFAULTS", "PACKAGE", "Batch", "Library", "Parameters", "check_defaults", "open_library", "version"]
