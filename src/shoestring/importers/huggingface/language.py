"""The caller's side for decoders: a Hugging Face folder becomes a GGUF file."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from shoestring.base import disk
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS, MAX_WEIGHTS_FILE_BYTES, MIB
from shoestring.base.units import format_bytes
from shoestring.domain.weights import WeightsFile
from shoestring.importers.huggingface.folder import CONFIG
from shoestring.importers.importing import not_closed
from shoestring.importers.sources import Ask, ask_child, walls
from shoestring.importers.weights import read_weights

_CHILD = "shoestring.importers.huggingface.language_child:translate"
_BYTES_A_SECOND = 20 * MIB  # a memory card reads and writes so much at once; IMPORT_SECONDS come on top
_HEADER_BYTES = 256 * MIB  # what a GGUF header may add to the weights
_NAME = re.compile(r"[^\w.+-]+")


def import_language(
    folder: Path | str, out: Path | str, *, limits: ChildLimits | None = None, require_quarantine: bool = False
) -> WeightsFile:
    """Read a Hugging Face folder of a model that writes and store it as GGUF in `out`; see `import_noted`."""
    return import_noted(folder, out, limits=limits, require_quarantine=require_quarantine)[0]


def import_noted(
    folder: Path | str, out: Path | str, *, limits: ChildLimits | None = None, require_quarantine: bool = False
) -> tuple[WeightsFile, tuple[str, ...]]:
    """Read a Hugging Face folder of a model that writes and store it as GGUF in `out`.

    Matrices keep the precision that they are stored in (F32, F16, BF16), vectors become F32; never more than one tensor
    is in memory. The same folder under the same name gives the same bytes.

    Args:
        folder: with config.json, model.safetensors (or an index and its files) and tokenizer.json;
            tokenizer_config.json, generation_config.json and chat_template.jinja are read where they are.
        out: where the file goes; its directory exists. On an error it is as it was.
        limits: time (s) and memory (bytes) of the child that converts; None: by the size of the folder.
        require_quarantine: refuse where the kernel cannot close the process that reads.

    Returns:
        The header of the file, read back in another child; and what is to be said.

    Raises:
        ModelError: the folder is unsound, or holds what llama.cpp does not have; by name.
        UsageError: `folder` is no directory.
        StorageError: `out` cannot be written.
    """
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint=f"give the one that holds {CONFIG}")
    weights_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors") if path.is_file())
    if weights_bytes > MAX_WEIGHTS_FILE_BYTES:
        raise ModelError(
            f"{folder} holds {format_bytes(weights_bytes)} of weights, more than the limit of "
            f"{format_bytes(MAX_WEIGHTS_FILE_BYTES)}",
            hint="a model of this size does not run on the boards we serve",
        )
    limits = limits or ChildLimits(IMPORT_SECONDS + weights_bytes / _BYTES_A_SECOND, IMPORT_MEMORY_BYTES)
    with disk.storage_errors(out):
        scratch = tempfile.TemporaryDirectory(prefix=".import-", dir=out.absolute().parent)
    with scratch as directory:
        made = Path(directory) / "model.gguf"
        name = _NAME.sub(" ", folder.absolute().name).strip() or "model"
        request = {"source": str(folder.absolute()), "target": str(made.absolute()), "name": name}
        around = walls(Ask({}, True, False, limits, None, require_quarantine), (folder,), made)
        # Vectors may double on their way to float32.
        around = replace(around, largest_file_bytes=2 * weights_bytes + _HEADER_BYTES)
        told = ask_child(_CHILD, folder, request, limits, around)
        header, _ = read_weights(made, require_quarantine=require_quarantine)
        disk.replace(made, out)
    notes = tuple(str(note) for note in told.result)
    return header, notes if told.lacking is None else (*notes, not_closed(told.lacking))
