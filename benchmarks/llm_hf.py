"""What comes of Hugging Face folders: SmolLM2 there and back, tokens of the news, answers held against transformers.

    python benchmarks/llm_hf.py

SmolLM2-135M's GGUF file becomes a Hugging Face folder (weights dequantised to float32; tests/hf_inverse.py), and the
importer makes a GGUF file of that again. Tokens of all BBC news texts: the library `tokenizers` on the folder against
llama.cpp on both files. Then the small networks of tests/hf_decoders.py: KL from what
transformers answered (tests/hf_oracle.py, kept in expected.json) to what llama.cpp answers on the imported file.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

import tokenizers  # noqa: E402

import hf_decoders  # noqa: E402
import hf_inverse  # noqa: E402
import language_material  # noqa: E402
from hf_llamacpp import judge  # noqa: E402
from shoestring.importers.gguf.header import read_header  # noqa: E402
from shoestring.importers.huggingface.language import import_language  # noqa: E402
from shoestring.weights.pairs import metadata_pairs  # noqa: E402
from shoestring.weights.tensors import open_tensors  # noqa: E402

EXPECTED = TESTS / "importers" / "huggingface" / "expected.json"
LISTS = ("tokens", "token_type", "merges", "bos_token_id", "eos_token_id", "add_bos_token", "pre", "model")


def there_and_back(original: Path, folder: Path, back: Path) -> None:
    """Tensors and metadata of the file that came back, against the one that went."""
    before = hf_inverse.write_folder(original, folder)
    start = time.perf_counter()
    after = import_language(folder, back)
    seconds = time.perf_counter() - start
    same = 0
    with open_tensors(original, before) as old, open_tensors(back, after) as new:
        for name in old:
            same += new[name].tobytes() == old.floats(name).tobytes()
    largest = max(4 * tensor.elements for tensor in before.tensors)
    peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    heads = [
        metadata_pairs(path.read_bytes()[: header.header_bytes]) for path, header in ((original, before), (back, after))
    ]
    lists = sum(heads[0][f"tokenizer.ggml.{name}"] == heads[1][f"tokenizer.ggml.{name}"] for name in LISTS)
    print("| there and back | |\n|---|---|")
    print(f"| tensors, and those with the same bytes | {len(before.tensors)}, {same} |")
    print(f"| in the file that came back | {len(after.tensors)} |")
    print(f"| tokenizer's pairs compared, and equal | {len(LISTS)}, {lists} |")
    print(f"| seconds for {after.file_bytes / 1e6:,.0f} MB | {seconds:.1f} |")
    print(f"| peak memory of the process, MB (largest tensor {largest / 1e6:,.0f} MB) | {peak / 1e6:,.0f} |\n")


def tokens(folder: Path, files: dict[str, Path]) -> None:
    """Texts that llama.cpp cuts otherwise than `tokenizers`."""
    texts = [path.read_text() for path in sorted(language_material.news().rglob("*.txt"))]
    ours = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = [encoding.ids for encoding in ours.encode_batch(texts)]
    print("| tokens of the news | texts | tokens | texts that differ |\n|---|---|---|---|")
    for name, path in files.items():
        with judge(path) as model:
            differ = sum(model.tokens(text, around=True) != ids for text, ids in zip(texts, expected, strict=True))
        print(f"| {name} | {len(texts):,} | {sum(map(len, expected)):,} | {differ} |")
    print()


def answers(scratch: Path) -> None:
    """KL from transformers' answers, for every family."""
    kept = json.loads(EXPECTED.read_text())
    print(f"| network | architecture | largest KL from transformers {kept['transformers']}, nats |\n|---|---|---|")
    letter = 3 + hf_decoders.letters().index("a")
    for name, rows in kept["decoders"].items():
        file, config = scratch / f"{name}.gguf", hf_decoders.DECODERS[name]
        import_language(hf_decoders.decoder(scratch / name, name), file)
        ids, worst = hf_decoders.decoder_ids(config), 0.0
        with judge(file) as model:
            for place, logits in zip(hf_decoders.SHOWN, rows, strict=True):
                theirs = np.array(logits) - math.log(np.exp(np.array(logits)).sum())
                found = model.log_probabilities(ids[: place + 1], config["vocab_size"], letter)
                worst = max(worst, float((np.exp(theirs) * (theirs - found)).sum()))
        print(f"| {name} | {read_header(file).architecture} | {worst:.1e} |", flush=True)


def main() -> None:
    original = language_material.smollm2()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        there_and_back(original, scratch / "smollm2", scratch / "back.gguf")
        tokens(scratch / "smollm2", {"the file": original, "came back": scratch / "back.gguf"})
        answers(scratch)


if __name__ == "__main__":
    main()
