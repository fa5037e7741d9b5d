"""The front of the compiler: an ONNX file becomes a program in the typed internal form, or is refused by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shoestring.base import disk
from shoestring.native.check import check
from shoestring.native.form import Program
from shoestring.native.front.reading import read_graph
from shoestring.native.front.translate import translate
from shoestring.native.passes.delay_tables import delay_tables
from shoestring.native.passes.hoist_quantize import hoist_quantize
from shoestring.native.passes.prune import prune
from shoestring.native.passes.tables import tables

__all__ = ["read_program"]


def read_program(model: Path | bytes, name: str) -> Program:
    """The program of an ONNX file, float or quantized in QDQ form.

    Args:
        model: file, or its bytes; operator set 11 or later, weights inside, shapes fixed but for a free batch, which
            becomes 1. Nothing else on the disk is read.
        name: of the program, a C identifier.

    Returns:
        A program that passes `check`, without operators that nothing depends on. Its notes say where a layer could
        not keep its 8 bits or a bias was rounded.

    Raises:
        ModelError: not such a file, or operators that cannot be compiled: one message names them all.
        StorageError: the file cannot be read.
    """
    if isinstance(model, bytes):
        data = model
    else:
        with disk.storage_errors(model):
            data = model.read_bytes()
    program = translate(read_graph(data), name, hashlib.sha256(data).hexdigest())
    program = delay_tables(prune(tables(hoist_quantize(prune(program)))))
    check(program)
    return program
