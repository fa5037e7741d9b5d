"""The model as the user gave it, and what it is held to: its own weights in floats."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.analysis.transformer import transformer_of
from shoestring.base import disk
from shoestring.base.errors import ModelError
from shoestring.device.language.model_files import hash_of
from shoestring.importers.weights import read_weights
from shoestring.weights.decode import dequantize
from shoestring.weights.tensors import open_tensors
from shoestring.weights.writing import write_gguf

if TYPE_CHECKING:
    from shoestring.base.cache import Cache
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile

FLOATS = ("F32", "F16", "BF16")
CHAT_TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True)
class Source:
    """A GGUF file.

    Args:
        path: of it.
        name: for people.
        sha256: of its bytes.
        header: read in quarantine.
        transformer: by the header.
        notes: what the user should know of it.
    """

    path: Path
    name: str
    sha256: str
    header: WeightsFile
    transformer: Transformer
    notes: tuple[str, ...]

    @property
    def is_float(self) -> bool:
        """Whether its own weights are the floats that all is held to."""
        return all(tensor.type in FLOATS for tensor in self.header.tensors)

    def is_original(self, sha256: str) -> bool:
        """Whether a file is what all is held to, so that it needs no certificate."""
        return self.is_float and sha256 == self.sha256

    @property
    def chat(self) -> bool:
        """Whether it has a chat template."""
        return CHAT_TEMPLATE in self.header.metadata


def open_source(path: Path, cache: Cache) -> Source:
    """Read the header of a GGUF file, or make one of a Hugging Face folder first.

    Args:
        path: a .gguf, or a folder with config.json.
        cache: keeps the file that a folder becomes.

    Raises:
        ModelError: no such model, an unknown architecture, or a header that lies.
    """
    name, notes = path.stem if path.is_file() else path.absolute().name, list[str]()
    if path.is_dir():
        path = _from_folder(path, cache)
        notes.append(f"{name}: made into GGUF as it is stored, {path.stat().st_size:,} bytes")
    header, lacking = read_weights(path)
    if header.format != "GGUF":
        raise ModelError(
            f"{path} is a {header.format} file without its configuration",
            hint="name the folder that holds config.json, the weights and tokenizer.json",
        )
    if lacking is not None:
        notes.append(lacking)
    sha256 = hash_of(path)
    if sha256 is None:
        raise ModelError(f"{path} cannot be read", hint="check its permissions; links are not followed")
    source = Source(path, name, sha256, header, transformer_of(header), tuple(notes))
    if not source.is_float:
        kinds = ", ".join(kind for kind in header.bytes_by_type if kind not in FLOATS)
        notes.append(
            f"{name} is stored in {kinds} already: what follows is held to these weights, not to those before them"
        )
    return Source(path, name, sha256, header, source.transformer, tuple(notes))


def _from_folder(folder: Path, cache: Cache) -> Path:
    from shoestring.importers.huggingface.language import import_language

    kinds = (".json", ".safetensors", ".jinja")  # .jinja: a chat template that stands by itself
    files = sorted(one for one in folder.iterdir() if one.is_file() and one.suffix in kinds)
    question = {one.name: hash_of(one) for one in files}
    return cache.file("folders", question, ".gguf", lambda target: _import(import_language, folder, target))


def _import(importer: object, folder: Path, target: Path) -> None:
    importer(folder, target)  # type: ignore[operator]


@contextlib.contextmanager
def original_file(source: Source, room: Path) -> Iterator[Path]:
    """A file with the weights in floats: the user's own, or its blocks unpacked, for as long as the block lasts.

    Args:
        source: the model.
        room: a directory for the unpacked file, which may be eight times as large.

    Raises:
        StorageError: there is no room.
        ModelError: the file changed since it was read.
    """
    if source.is_float:
        yield source.path
        return
    with disk.storage_errors(room):
        directory = tempfile.TemporaryDirectory(dir=room)
    with directory as scratch, open_tensors(source.path, source.header) as tensors:
        stored = {tensor.name: tensor for tensor in source.header.tensors if tensor.type not in FLOATS}

        def floats(name: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
            tensor = stored[name]
            values = np.asarray(dequantize(tensors[name], tensor.type, tensor.shape), np.float32)
            return values.reshape(-1).view(np.uint8)

        path = Path(scratch) / "original.gguf"
        write_gguf(path, source.path, source.header, dict.fromkeys(stored, "F32"), floats)
        yield path
