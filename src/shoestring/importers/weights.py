"""Files of weights without a graph: what kind of file it is, and its header, read in quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shoestring.base import canonical
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS
from shoestring.base.quarantine import Walls
from shoestring.domain.weights import WeightsFile
from shoestring.importers.formats import HEAD_BYTES
from shoestring.importers.gguf.header import MAGIC
from shoestring.importers.sources import PACKAGES, ask_child

_CHILD = "shoestring.importers.weights:read"
_LIMITS = ChildLimits(IMPORT_SECONDS, IMPORT_MEMORY_BYTES)
_INDEX_SUFFIX = ".index.json"
_BRACE_AT = 8  # after the length of a safetensors header


def kind_of(path: Path) -> str | None:
    """`gguf`, `safetensors` or `index` by the first bytes of a file, or None when it is none of them."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    if head.startswith(MAGIC):
        return "gguf"
    if head[_BRACE_AT : _BRACE_AT + 1] == b"{" and head[5:8] == bytes(3):  # no header has more than 5 bytes of length
        return "safetensors"
    return "index" if path.name.endswith(_INDEX_SUFFIX) and head.lstrip().startswith(b"{") else None


def read_weights(
    path: Path | str,
    *,
    limits: ChildLimits = _LIMITS,
    require_quarantine: bool = False,
    header_only: bool = False,
) -> tuple[WeightsFile, str | None]:
    """The header of a GGUF or safetensors file, or of all the files that an index names.

    Args:
        path: of the file; it is judged by its first bytes.
        limits: time (s) and memory (bytes) of the child that reads it.
        require_quarantine: refuse where the kernel cannot close that child.
        header_only: the file may be no more than the first megabytes of one; its size is then what its header claims.

    Returns:
        The header; and what the kernel could not hold while it was read, or None.

    Raises:
        ModelError: not such a file, or an unsound one.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind is None:
        raise ModelError(f"{path} is no GGUF or safetensors file", hint="check the path")
    readable = (path, path.absolute().parent) if kind == "index" else (path,)
    around = Walls(readable, (), packages=PACKAGES, required=require_quarantine)
    if header_only and kind == "index":
        raise ModelError(f"{path} names whole files, which stand beside it", hint="leave --header-only out")
    request = {"kind": kind, "path": str(path.absolute()), "partial": "yes" if header_only else ""}
    told = ask_child(_CHILD, path, request, limits, around)
    return canonical.convert(told.result, WeightsFile, ModelError), told.lacking


def read(request: dict[str, str]) -> Any:
    """The inside of the child."""
    from shoestring.importers.gguf import header as gguf
    from shoestring.importers.safetensors import header, index

    path, partial = Path(request["path"]), bool(request.get("partial"))
    if request["kind"] == "index":
        return canonical.plain(index.read_index(path))
    reader = gguf.read_header if request["kind"] == "gguf" else header.read_header
    return canonical.plain(reader(path, partial=partial))
