"""Runs a compiled library with nothing but ctypes and numpy. `python use.py camera.so INPUT`.

The structures follow program.h. What is loaded runs in this process: load only what you compiled, or what came out of
a verified bundle (`shoestring run` checks one).
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import numpy as np

ABI = 1
ALIGNMENT = 64


class Program(ctypes.Structure):
    """shoestring_program_t."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("max_threads", ctypes.c_uint32),
        ("about", ctypes.c_char_p),
        ("state_bytes", ctypes.c_size_t),
        ("weights_bytes", ctypes.c_size_t),
        ("weights", ctypes.c_void_p),
        ("arena_bytes", ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_uint32)),
        (
            "init",
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32),
        ),
        ("invoke", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)),
        ("close", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    )


def aligned(size: int) -> np.ndarray:
    """Zeros at an address that is a multiple of ALIGNMENT."""
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size]


def array_of(port: dict) -> np.ndarray:
    """A dense array for an input or output; a free batch (null) is one example."""
    return np.zeros([1 if length is None else length for length in port["shape"]], port["dtype"])


def addresses(arrays: list[np.ndarray]) -> ctypes.Array:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def main(library: str, files: list[str]) -> int:
    entry = ctypes.CDLL(str(Path(library).resolve())).shoestring_program
    entry.restype = ctypes.POINTER(Program)
    found = entry()
    if not found:
        return fail("this processor lacks the instruction sets that the library was compiled for")
    program = found.contents
    if program.abi != ABI:
        return fail(f"the library has the binary interface {program.abi}, not {ABI}")
    about = json.loads(program.about)
    inputs = [array_of(port) for port in about["inputs"]]
    outputs = [array_of(port) for port in about["outputs"]]
    if len(files) != len(inputs):
        return fail(f"it takes {len(inputs)} input file(s)")
    for array, file in zip(inputs, files, strict=True):
        array[...] = np.fromfile(file, array.dtype).reshape(array.shape)

    state, arena = aligned(program.state_bytes), aligned(program.arena_bytes(1))
    code = program.init(state.ctypes.data, arena.ctypes.data, program.weights, 1)
    if code != 0:
        return fail(f"init answers {code}")
    code = program.invoke(state.ctypes.data, addresses(inputs), addresses(outputs))
    program.close(state.ctypes.data)
    if code != 0:
        return fail(f"invoke answers {code}")
    for port, array in zip(about["outputs"], outputs, strict=True):
        best = int(array.argmax())
        print(f"{port['name']}: class {best}, score {array.flat[best]:.4f}; arena {arena.size} bytes")
    return 0


def fail(words: str) -> int:
    print(words, file=sys.stderr)
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python use.py LIBRARY INPUT...")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
