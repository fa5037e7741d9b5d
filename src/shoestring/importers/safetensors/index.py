"""A model in several safetensors files: an index names the file of each tensor, and is held to what they hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shoestring.base import opens
from shoestring.base.errors import DataError, ModelError
from shoestring.base.limits import MAX_SAFETENSORS_HEADER_BYTES, MAX_SHARDS, MAX_STORED_TENSORS
from shoestring.base.units import format_bytes
from shoestring.domain.weights import WeightsFile
from shoestring.importers.safetensors.header import read_stream
from shoestring.importers.safetensors.strict_json import DAMAGED, parse

SUFFIX = ".safetensors"
_TOTAL = "total_size"


def read_index(path: Path) -> WeightsFile:
    """Read `path`, a `*.safetensors.index.json`, and the headers of the files that it names, which stand beside it.

    Raises:
        ModelError: a name that leaves the directory, a tensor that is not where the index says, or an unsound file.
    """
    weight_map, total = _index(path)
    names = sorted(set(weight_map.values()))
    if not 1 <= len(names) <= MAX_SHARDS:
        raise ModelError(f"the index names {len(names):,} files, and 1 to {MAX_SHARDS:,} are possible", hint=DAMAGED)
    shards = [_shard(path.absolute().parent, name) for name in names]
    tensors = tuple(tensor for shard in shards for tensor in shard.tensors)
    found: dict[str, str] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise ModelError(f"tensor {tensor.name!r} stands in {found[tensor.name]} and {tensor.file}", hint=DAMAGED)
        found[tensor.name] = tensor.file
    for name in sorted(weight_map.keys() | found.keys()):
        if weight_map.get(name) != found.get(name):
            raise ModelError(
                f"tensor {name[:80]!r} stands in {found.get(name, 'no file')}, and the index says "
                f"{weight_map.get(name, 'nothing of it')}",
                hint="the files do not belong together; fetch them again",
            )
    stored = sum(tensor.size_bytes for tensor in tensors)
    if total is not None and total != stored:
        raise ModelError(f"the index states {total:,} bytes, and the files hold {stored:,}", hint=DAMAGED)
    metadata = {key: value for shard in shards for key, value in shard.metadata.items()}
    header_bytes = sum(shard.header_bytes for shard in shards)
    file_bytes = sum(shard.file_bytes for shard in shards)
    return WeightsFile("safetensors", 0, None, metadata, tensors, header_bytes, file_bytes, 0, tuple(names))


def _index(path: Path) -> tuple[dict[str, str], int | None]:
    """File by tensor, and the bytes of all tensors where the index states them."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(min(size, MAX_SAFETENSORS_HEADER_BYTES))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    if size > MAX_SAFETENSORS_HEADER_BYTES:
        limit = format_bytes(MAX_SAFETENSORS_HEADER_BYTES)
        raise ModelError(f"the index has {format_bytes(size)}, more than the limit of {limit}", hint=DAMAGED)
    found = parse(data, "the index")
    weight_map = found.get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise ModelError("the file has no weight_map from tensors to files", hint="is it an index of safetensors?")
    if len(weight_map) > MAX_STORED_TENSORS:
        raise ModelError(
            f"the index names {len(weight_map):,} tensors, more than the limit of {MAX_STORED_TENSORS:,}", hint=DAMAGED
        )
    return weight_map, _total(found.get("metadata", {}))


def _total(metadata: Any) -> int | None:
    total = metadata.get(_TOTAL) if isinstance(metadata, dict) else -1
    if isinstance(total, float) and total.is_integer():  # some writers make it a float
        total = int(total)
    if total is None or (type(total) is int and total >= 0):
        return total
    raise ModelError(f"the index states {_TOTAL} in an unusual way", hint=DAMAGED)


def _shard(directory: Path, name: str) -> WeightsFile:
    if not name.endswith(SUFFIX):
        raise ModelError(f"the index names {name[:80]!r}, which is no {SUFFIX} file", hint=DAMAGED)
    try:
        stream = opens.open_within(directory, name)
    except DataError as error:
        raise ModelError(
            f"a file that the index names is refused: {error.message}", hint="put the files beside the index"
        ) from error
    with stream:
        try:
            return read_stream(stream, os.fstat(stream.fileno()).st_size, file=name)
        except ModelError as error:
            raise ModelError(f"{name}: {error.message}", hint=error.hint) from error
