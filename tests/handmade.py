"""Compiled programs written by hand (`native/handmade.c`), built with the system's C compiler."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import shoestring.native

SOURCE = Path(__file__).parent / "native" / "handmade.c"
KERNELS = Path(shoestring.native.__file__).parent / "kernels"


@functools.cache
def build(*defines: str) -> bytes:
    """The shared library of handmade.c with these macros, like `ABI=2`; skips the test where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "handmade.so"
        words = [compiler, "-std=c11", "-O1", "-fPIC", "-shared", f"-I{KERNELS}", *(f"-D{one}" for one in defines)]
        subprocess.run([*words, str(SOURCE), "-o", str(library)], check=True, timeout=60)
        return library.read_bytes()
