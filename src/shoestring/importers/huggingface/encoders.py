"""The caller's side for encoders: a folder becomes an ONNX graph, and all that turns a text into its inputs."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from shoestring.base import canonical, disk
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS, MAX_TOKENIZER_BYTES
from shoestring.importers.huggingface.encoder_facts import EncoderImport, Facts
from shoestring.importers.huggingface.folder import CONFIG, TOKENIZER, Folder
from shoestring.importers.importing import import_model, not_closed
from shoestring.importers.sources import Ask, ask_child, walls

_CHILD = "shoestring.importers.huggingface.encoder_child:translate"
_LIMITS = ChildLimits(IMPORT_SECONDS, IMPORT_MEMORY_BYTES)


def import_encoder(
    folder: Path | str,
    target: Path | str,
    *,
    pooling: str | None = None,
    limits: ChildLimits = _LIMITS,
    require_quarantine: bool = False,
) -> EncoderImport:
    """Read a Hugging Face folder of an encoder of BERT's shape and write it as ONNX to `target`.

    Args:
        folder: with config.json, model.safetensors (or an index and its files) and tokenizer.json; where
            sentence-transformers wrote it, modules.json and the settings of each module.
        target: where the normalised graph goes; its directory exists. On an error it is as it was.
        pooling: `mean` or `cls`, for an embedding whose folder does not say; None: as it says, else the mean.
        limits: time (s) and memory (bytes) of each child process.
        require_quarantine: refuse where the kernel cannot close the process that reads.

    Raises:
        ModelError: the folder is unsound, or holds a network, pooling or module that is not known; by name.
        UsageError: `folder` is no directory.
        StorageError: `target` cannot be written.
        MissingExtraError: onnx is not installed.
    """
    folder, target = Path(folder), Path(target)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint=f"give the one that holds {CONFIG}")
    with disk.storage_errors(target):
        scratch = tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent)
    with scratch as directory:
        made = Path(directory) / "encoder.onnx"
        ask = Ask({}, True, False, limits, None, require_quarantine)
        request = {"source": str(folder.absolute()), "target": str(made.absolute()), "pooling": pooling}
        told = ask_child(_CHILD, folder, request, limits, walls(ask, (folder,), made))
        facts = canonical.convert(told.result, Facts, ModelError)
        tokenizer = _tokenizer(folder, facts)
        model = import_model(made, target, limits=limits, require_quarantine=require_quarantine)
    said = facts.notes if told.lacking is None else (*facts.notes, not_closed(told.lacking))
    return EncoderImport(
        model=replace(model, source_name=folder.name, source_sha256=facts.sha256, notes=(*said, *model.notes)),
        tokenizer=tokenizer,
        kind=facts.kind,
        max_tokens=facts.max_tokens,
        padding=facts.padding,
        normalized=facts.normalized,
        labels=facts.labels,
    )


def _tokenizer(folder: Path, facts: Facts) -> bytes:
    """The very bytes that were looked at."""
    data = Folder(folder).read(TOKENIZER, MAX_TOKENIZER_BYTES)
    if hashlib.sha256(data).hexdigest() != facts.tokenizer_sha256:
        raise ModelError(f"{TOKENIZER} changed while the folder was read", hint="run it again")
    return data
