"""A folder as Hugging Face lays it out, looked into by fixed names; links are not followed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from shoestring.base import opens
from shoestring.base.errors import DataError, ModelError
from shoestring.base.limits import MAX_METADATA_TEXT_BYTES, MAX_TOKENIZER_BYTES
from shoestring.base.units import format_bytes
from shoestring.importers.safetensors import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MAX_CONFIG_BYTES = MAX_METADATA_TEXT_BYTES + 64 * 1024  # a chat template, and some kB of settings
MAX_TOKENIZER_MARKS = 12_000_000  # a merge of 514,906 has three, a word of 262,144 two; twice over for their letters
_HINT = "give the folder that holds config.json, tokenizer.json and model.safetensors"
_LINKS = "a folder of Hugging Face's cache holds links, which are not followed: copy it with `cp -rL`"
_PIECE_BYTES = 1 << 20


@dataclass
class Folder:
    """Files by their names below one directory.

    Args:
        root: that directory.
        hashes: SHA-256 of every file read so far, by its name.
    """

    root: Path
    hashes: dict[str, bytes] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        return (self.root / opens.check_relative(name)).exists()

    def open(self, name: str) -> BinaryIO:
        """Open a file. Raises ModelError when it is missing, a link, or no file."""
        try:
            return opens.open_within(self.root, name)
        except DataError as error:
            raise ModelError(error.message, hint=_LINKS if (self.root / name).is_symlink() else _HINT) from error

    def read(self, name: str, limit: int) -> bytes:
        """All of a file.

        Raises:
            ModelError: it is missing, or larger than `limit` bytes.
        """
        with self.open(name) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limit:
                raise ModelError(
                    f"{name} has {format_bytes(size)}, more than the limit of {format_bytes(limit)}",
                    hint=strict_json.DAMAGED,
                )
            data = stream.read(limit)
        self.hashes[name] = hashlib.sha256(data).digest()
        return data

    def json(self, name: str, limit: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
        """The JSON object in a file. Raises ModelError as `read`, and when it is no sound JSON."""
        data = self.read(name, limit)
        most = MAX_TOKENIZER_MARKS if limit > MAX_CONFIG_BYTES else strict_json.MAX_MARKS
        return strict_json.parse(data, name, most=most, saturate=True)

    def objects(self, name: str, most: int) -> list[dict[str, Any]]:
        """The objects of a JSON list of at least one. Raises ModelError as `json`, and for more than `most`."""
        # The strict reader takes an object, so the list becomes the one value of one.
        found = strict_json.parse(b'{"list":' + self.read(name, MAX_CONFIG_BYTES) + b"}", name)["list"]
        sound = isinstance(found, list) and 1 <= len(found) <= most and all(isinstance(one, dict) for one in found)
        if not sound:
            raise ModelError(f"{name} is no list of 1 to {most} objects", hint=strict_json.DAMAGED)
        return list(found)

    def tokenizer(self) -> dict[str, Any]:
        """What `tokenizer.json` holds."""
        return self.json(TOKENIZER, MAX_TOKENIZER_BYTES)

    def optional(self, name: str) -> dict[str, Any]:
        """As `json`, and empty where there is no such file."""
        return self.json(name) if self.has(name) else {}

    def hash_file(self, name: str) -> None:
        """Take a file that is read piece by piece into the hash of the source."""
        digest = hashlib.sha256()
        with self.open(name) as stream:
            for piece in _pieces(stream):
                digest.update(piece)
        self.hashes[name] = digest.digest()

    def sha256(self) -> str:
        """Of the SHA-256 of all files read, in the order of their names."""
        digest = hashlib.sha256()
        for name in sorted(self.hashes):
            digest.update(self.hashes[name])
        return digest.hexdigest()


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_PIECE_BYTES):
        yield piece
