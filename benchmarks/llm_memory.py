"""Memory of a model that writes: planned from its header, and measured.

    python benchmarks/llm_memory.py [--contexts 512,1024,2048,4096,8192] [--caches F16,Q8_0] [--types Q4_0,Q8_0]

Each measurement is a fresh process of ours that loads the file with llama.cpp (`runtimes.llamacpp.Writer`, one slot), reads
a prompt that fills the context, and writes four tokens; the figure is its peak resident memory (VmHWM). Its weights are
SmolLM2-135M-Instruct as it comes (Q4_1, table of words in Q8_0), and, for each of --types, the same model planned and
written in that type, with zeros for weights, which take as much memory as any. The plan sees the header and the
instruction sets of this machine, and nothing else.

Prints Markdown; a prompt of 8,192 tokens takes minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import language_material
from shoestring.analysis.transformer import transformer_of
from shoestring.base.limits import MIB
from shoestring.chips.host import this_machine
from shoestring.costmodel.language.memory import predict_language_memory
from shoestring.costmodel.language.retyped import all_in
from shoestring.costmodel.language.setting import Setting
from shoestring.importers.weights import read_weights
from shoestring.runtimes.llamacpp.asking import Options
from shoestring.runtimes.llamacpp.writer import LIMITS, Writer
from shoestring.weights.block_types import tensor_bytes
from shoestring.weights.writing import write_gguf

if TYPE_CHECKING:
    from shoestring.domain.weights import WeightsFile

SPARE = 16  # tokens of the context that the prompt leaves to the answer
WRITTEN = 4
FIRST_TOKEN = 1_000  # an ordinary word; which one does not matter to memory
SLOW_S = 3_600.0  # the longest prompt on a busy machine


def measured_bytes(path: Path, context: int, cache: str, threads: int) -> int:
    """Peak resident memory of a fresh process that reads a whole context."""
    limits = dataclasses.replace(LIMITS, run_s=SLOW_S)
    kind = cache.lower()
    with Writer(path, context=context, cache_type=kind, prefill_threads=threads, limits=limits) as writer:
        prompt = [FIRST_TOKEN + number % 10_000 for number in range(context - SPARE)]
        for _ in writer.complete(prompt, Options(max_tokens=WRITTEN, temperature=0.0)):
            pass
        return writer.peak_rss_bytes() or 0


def in_type(source: Path, header: WeightsFile, kind: str, out: Path) -> Path:
    """The model in another type, with zeros for weights."""
    wanted = all_in(header, kind)
    changed = {one.name: one for one, had in zip(wanted.tensors, header.tensors, strict=True) if one.type != had.type}

    def zeros(name: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        return np.zeros(tensor_bytes(changed[name].type, changed[name].shape), np.uint8)

    write_gguf(out, source, header, {name: one.type for name, one in changed.items()}, zeros)
    return out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--contexts", default="512,1024,2048,4096,8192")
    parser.add_argument("--caches", default="F16,Q8_0")
    parser.add_argument("--types", default="Q4_0,Q8_0", help="written anew, at the first context and cache; '' for none")
    parser.add_argument("--threads", type=int, default=2, help="that read the prompt")
    given = parser.parse_args()
    contexts = [int(one) for one in given.contexts.split(",")]
    caches = given.caches.split(",")
    source = language_material.smollm2()
    isa = this_machine().isa
    with tempfile.TemporaryDirectory() as folder:
        header, _ = read_weights(source)
        cases = [("Q4_1, as it comes", source, context, cache) for context in contexts for cache in caches]
        for kind in filter(None, given.types.split(",")):
            path = in_type(source, header, kind, Path(folder) / f"{kind}.gguf")
            cases.append((f"{kind}, zeros", path, contexts[0], caches[0]))
        print("| file | context | cache | planned, MiB | 90 % | measured, MiB | off |\n|---|---|---|---|---|---|---|")
        off = [_row(*case, isa, given.threads) for case in cases]
    print(f"\nfurthest off: {100 * max(map(abs, off)):.1f} %, on {', '.join(isa) or 'no known instruction set'}")


def _row(name: str, path: Path, context: int, cache: str, isa: tuple[str, ...], threads: int) -> float:
    header, _ = read_weights(path)
    planned = predict_language_memory(transformer_of(header), header, Setting(context, cache), isa)
    found = measured_bytes(path, context, cache, threads)
    off = planned.value / found - 1
    print(
        f"| {name} | {context:,} | {cache} | {planned.value / MIB:.1f} | {planned.low / MIB:.1f} to "
        f"{planned.high / MIB:.1f} | {found / MIB:.1f} | {100 * off:+.1f} % |",
        flush=True,
    )
    return off


if __name__ == "__main__":
    main()
