"""Rounding into block types, ours beside ggml's, on the matrices of SmolLM2-135M.

    python benchmarks/llm_rounding.py             # errors of layer outputs on held-out text, and seconds
    python benchmarks/llm_rounding.py --kl        # whole files of one type, their KL to the original by llama.cpp

The first table: for each type the squared error of a layer's output, relative to the output's square, geometric mean
over matrices of three layers, on text that gave no Gram matrix. Contestants: ggml without and with importances
(ggml_quantize_chunk of llama.cpp); ours by importance; ours in the second order after LDLQ alone and after rounds of
descent. The second table: files that hold every matrix but the embedding in one type, so that bytes are equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from language_material import news, smollm2
from llm_stock import float_file
from shoestring.compress.language.family import LAYER_LINEARS, READS, family_of
from shoestring.compress.language.passes import streams
from shoestring.domain.weights import WeightsFile
from shoestring.importers.gguf.header import read_header
from shoestring.runtimes.llamacpp.reference import Reference
from shoestring.runtimes.llamacpp.scorer import Scorer
from shoestring.weights.block_types import block_type, fits
from shoestring.weights.decode import dequantize
from shoestring.weights.encode import quantize
from shoestring.weights.tensors import Tensors, open_tensors
from shoestring.weights.writing import write_gguf

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from ggml_quantizer import ggml_quantize

LAYERS = (1, 8, 15)
KINDS = ("Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "Q3_K", "Q2_K")
WHOLE = ("Q5_0", "Q4_0", "IQ4_NL")
POSITIONS, CALIBRATION, HELD_OUT = 256, 24, 8  # tokens of a block; blocks
Grams = dict[str, np.ndarray]
Method = Callable[[np.ndarray, str, np.ndarray], np.ndarray]

METHODS: dict[str, Method] = {
    "ggml": lambda weight, kind, gram: ggml_quantize(weight, kind),
    "ggml, imatrix": lambda weight, kind, gram: ggml_quantize(weight, kind, np.diag(gram)),
    "ours, importance": lambda weight, kind, gram: quantize(weight, kind, gram=gram, method="importance"),
    "ours, LDLQ": lambda weight, kind, gram: quantize(weight, kind, gram=gram, sweeps=0),
    "ours, second order": lambda weight, kind, gram: quantize(weight, kind, gram=gram),
    "ours, 3 rounds": lambda weight, kind, gram: quantize(weight, kind, gram=gram, sweeps=3),
}


def blocks(seed: int = 1) -> np.ndarray:
    """(blocks, positions) of tokens: the starts of different articles."""
    with Scorer(smollm2(), context=POSITIONS) as scorer:
        texts = sorted({path.read_text(encoding="utf-8") for path in news().rglob("*.txt")})
        np.random.default_rng(seed).shuffle(texts)
        runs = [run[:POSITIONS] for run in scorer.tokenize(texts[:300]) if len(run) >= POSITIONS]
    return np.array(runs[: CALIBRATION + HELD_OUT])


def gram_matrices(header: WeightsFile, tensors: Tensors, tokens: np.ndarray, layers: tuple[int, ...]) -> Grams:
    """E[x x^T] of what every matrix of those layers reads, by its name."""
    found: Grams = {}
    for layer, _, reads in streams(tensors.floats, family_of(header), tokens):
        if layer in layers:
            each = {key: value.reshape(-1, value.shape[-1]) for key, value in reads.items()}
            grams = {key: value.T @ value / len(value) for key, value in each.items()}
            found |= {f"blk.{layer}.{role}.weight": grams[READS[role]] for role in LAYER_LINEARS}
        if layer == max(layers):
            break
    return found


def errors(header: WeightsFile, tensors: Tensors, tokens: np.ndarray) -> None:
    """Print the first table."""
    grams = gram_matrices(header, tensors, tokens[:CALIBRATION], LAYERS)
    held_out = gram_matrices(header, tensors, tokens[CALIBRATION:], LAYERS)
    print(f"| type | bits | {' | '.join(METHODS)} |\n|---|---|{'---|' * len(METHODS)}")
    spent, weights = dict.fromkeys(METHODS, 0.0), 0
    for kind in KINDS:
        logs: dict[str, list[float]] = {label: [] for label in METHODS}
        for name, gram in grams.items():
            weight = tensors.floats(name)
            if not fits(weight.shape, kind):
                continue
            weights += weight.size
            whole = output(weight, held_out[name])
            for label, method in METHODS.items():
                began = time.process_time()
                raw = method(weight, kind, gram)
                spent[label] += time.process_time() - began
                left = output(weight - dequantize(raw, kind, weight.shape), held_out[name])
                logs[label].append(np.log(max(left / whole, 1e-12)))
        shown = " | ".join(f"{np.exp(np.mean(values)):.2e}" for values in logs.values())
        print(f"| {kind} | {block_type(kind).bits:.2f} | {shown} |", flush=True)
    print(f"| CPU seconds a million weights | | {' | '.join(f'{s / weights * 1e6:.2f}' for s in spent.values())} |")


def output(weight: np.ndarray, gram: np.ndarray) -> float:
    """The mean square of what a matrix gives."""
    return float(np.einsum("rc,rc->", weight @ gram, weight))


def divergences(header: WeightsFile, tensors: Tensors, tokens: np.ndarray) -> None:
    """Print the second table."""
    layers = tuple(range(family_of(header).layers))
    grams = gram_matrices(header, tensors, tokens[:CALIBRATION], layers)
    runs = [[int(token) for token in run] for run in tokens[CALIBRATION:]]
    print("| matrices in | made by | bytes | KL | of ggml's |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, open_reference(runs) as reference:
        for kind in WHOLE:
            first = None
            for label in ("ggml", "ggml, imatrix", "ours, importance", "ours, second order"):
                made = dict.fromkeys(grams, kind)

                def data(name: str, label: str = label, kind: str = kind) -> np.ndarray:
                    return METHODS[label](tensors.floats(name), kind, grams[name])

                path = Path(folder) / "made.gguf"
                write_gguf(path, smollm2(), header, made, data)
                with Scorer(path, context=POSITIONS, reference=reference) as scorer:
                    trace = scorer.compare(label, "held-out")
                kl = float(np.average(trace.kl, weights=trace.tokens))
                first = first or kl
                print(f"| {kind} | {label} | {path.stat().st_size:,} | {kl:.4f} | {kl / first:.2f} |", flush=True)


def open_reference(runs: list[list[int]]) -> Reference:
    """What the original answers to the held-out text."""
    with Scorer(smollm2(), context=POSITIONS) as scorer:
        reference = Reference(scorer.about.vocabulary)
    with Scorer(float_file(), context=POSITIONS, reference=reference) as scorer:
        scorer.remember(runs, "held-out")
    return reference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kl", action="store_true", help="whole files, by llama.cpp")
    asked = parser.parse_args()
    header = read_header(smollm2())
    tokens = blocks()
    with open_tensors(smollm2(), header) as tensors:
        (divergences if asked.kl else errors)(header, tensors, tokens)


if __name__ == "__main__":
    main()
