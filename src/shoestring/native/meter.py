"""A small C library that measures what a processor can do at most, with the vectors that our kernels use."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.native.build import build, find_compiler
from shoestring.native.emit.source import kernel
from shoestring.native.vectors import VECTORS

if TYPE_CHECKING:
    from collections.abc import Collection

    from shoestring.native.targets import Target

HALF = "fphp"
"""The instruction set that computes with fp16; our kernels have none, so that the meter brings its own."""


@dataclass(frozen=True)
class Meter:
    """A built meter.

    Args:
        path: of the library.
        target: whose vectors it uses.
        compiler: name and version.
    """

    path: Path
    target: str
    compiler: str


def build_meter(target: Target, isa: Collection[str], out: Path, cc: str | None = None) -> Meter:
    """Compile the meter into a shared library.

    Args:
        target: of the machine that is to be measured.
        isa: what that machine has.
        out: file to write.
        cc: compiler, or None to look for one.

    Raises:
        UsageError: the target has no kernels or no operating system.
        MissingExtraError: there is no compiler.
        ChildError: the compiler failed.
        StorageError: the disk refused.
    """
    vector = VECTORS.get(target.vector)
    if vector is None or target.system != "linux":
        raise UsageError(f"the meter cannot be built for {target.name}", hint="shoestring compile --list-targets")
    compiler = find_compiler(target, cc)
    half = target.arch == "aarch64" and HALF in isa
    head = f"#define SS_SIGNED {int(target.signed)}\n#define SS_FUSED {int(target.fused)}\n#define SS_HALF {int(half)}"
    names = ("common.h", *vector.before, f"vec_{target.vector}.h", "meter.c")
    text = "\n".join(["#define _GNU_SOURCE\n#include <stdint.h>\n#include <math.h>", head, *map(kernel, names)])
    with tempfile.TemporaryDirectory(prefix="shoestring-meter-") as folder:
        source = Path(folder) / "meter.c"
        disk.write_text(source, text)
        # Rounding decides nothing here, and fp16 products are only fast when they are contracted.
        build(compiler, target, [source], out, "library", threads=True, extra_flags=["-ffp-contract=fast"])
    return Meter(out, target.name, compiler.version())


__all__ = ["Meter", "build_meter"]
