"""MiniLM on BBC news: a certified rung against ONNX Runtime in 32-bit floats, as it is used and as it could be used.

    python benchmarks/encoder.py

Fits all-MiniLM-L6-v2 with a linear probe to the de-duplicated BBC news (benchmarks/language_material.py), at most one
point of accuracy lost. Then the chosen rung and the peers answer the same texts of the certification split in turn, one
text at a time, tokenizing included: ONNX Runtime padded to the model's longest (how most examples use it), and without
any padding (the honest peer). Prints Markdown tables: whole articles, and their first lines alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

import language_material
import minilm
from shoestring.bundle import open_bundle
from shoestring.device.text import TextPlayer
from shoestring.domain.budget import Budget
from shoestring.evaluate.texts import open_texts
from shoestring.fitting.outcome import Fitted
from shoestring.fitting.text import fit_text
from shoestring.inputs.text import load_tokenizer

MAX_DROP, MAX_TOKENS = 0.01, 256
TEXTS, WARM, SEED = 60, 5, 0
FASTER, SMALLER = 2.5, 4.0  # what is to be reached

Answer = Callable[[str], object]


def peer(model: Path, tokenizer: bytes, threads: int, *, padded: bool) -> Answer:
    """ONNX Runtime on the encoder in 32-bit floats, with nothing of ours."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    reader = load_tokenizer(tokenizer)
    reader.enable_truncation(MAX_TOKENS)
    if padded:
        reader.enable_padding(length=MAX_TOKENS)
    else:
        reader.no_padding()
    names = [one.name for one in session.get_inputs()]

    def answer(text: str) -> object:
        found = reader.encode(text)
        known = {"mask": found.attention_mask, "type": found.type_ids, "ids": found.ids}
        feeds = {name: np.array([next(v for k, v in known.items() if k in name)], np.int64) for name in names}
        return session.run(None, feeds)[0]

    return answer


def timed(contestants: dict[str, Answer], texts: Sequence[str]) -> dict[str, list[float]]:
    """Milliseconds of each text, the contestants in turn, in an order that moves on."""
    seen: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for place, text in enumerate([*texts[:WARM], *texts]):
        for name in names[place % len(names) :] + names[: place % len(names)]:
            start = time.perf_counter()
            contestants[name](text)
            if place >= WARM:
                seen[name].append(1e3 * (time.perf_counter() - start))
    return seen


def show(what: str, threads: int, seen: dict[str, list[float]]) -> None:
    print(
        f"\n{what}, {threads} thread(s), {len(next(iter(seen.values())))} texts, one at a time, tokenizing included\n"
    )
    print("| contestant | median ms | 10th to 90th percentile | times the padded peer | times the honest peer |")
    print("|---|---|---|---|---|")
    naive, honest = list(seen.values())[:2]
    for name, values in seen.items():
        low, high = np.quantile(values, [0.1, 0.9])
        ratios = [
            f"{statistics.median(a / b for a, b in zip(other, values, strict=True)):.2f}" for other in (naive, honest)
        ]
        print(f"| {name} | {statistics.median(values):.2f} | {low:.2f} to {high:.2f} | {' | '.join(ratios)} |")


def tell(fitted: Fitted, original_bytes: int) -> None:
    for note in fitted.notes:
        print(f"- {note}")
    print("\n| candidate | status | ms | times fp32 | MB | part of fp32 | top-1 | drop, pt | why |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in fitted.rows():
        print(
            f"| {row['candidate']} | {row['status']} | {row['latency_ms']:.1f} | {row['speedup']:.2f} "
            f"| {row['size_bytes'] / 1e6:.1f} | {row['size_bytes'] / original_bytes:.3f} | {100 * row['value']:.2f} "
            f"| {100 * row['drop']:.2f} | {row['reason']} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("news.shoe"), help="bundle to write (default news.shoe)")
    parser.add_argument("--cache", type=Path, help="finished steps of the fit (default: the user's cache)")
    parser.add_argument("--limit", type=int, help="use at most so many articles")
    parser.add_argument("--runtimes", help="with commas between (default: what is installed)")
    parser.add_argument("--texts", type=int, default=TEXTS, help=f"that are timed (default {TEXTS})")
    parser.add_argument("--fit-only", action="store_true", help="leave out the timing beside the peers")
    args = parser.parse_args()
    start = time.monotonic()
    news = language_material.news()
    model = minilm.unpacked(language_material.CACHE)
    fitted = fit_text(
        model,
        news,
        way="probe",
        budget=Budget(max_drop=MAX_DROP),
        limit=args.limit,
        runtimes=None if args.runtimes is None else args.runtimes.split(","),
        cache=args.cache,
        out=args.out,
    )
    print(f"fitted in {time.monotonic() - start:.0f} s\n")
    reference = next(row for row in fitted.rows() if row["candidate"] == "fp32")
    tell(fitted, reference["size_bytes"])
    if args.fit_only:
        return
    with ExitStack() as stack:
        bundle = stack.enter_context(open_bundle(args.out))
        tokenizer = (model / "tokenizer.json").read_bytes()
        fp32 = stack.enter_context(written(bundle.read(reference_sha256(fitted))))
        known = open_texts(news)
        by_hash = dict(zip(known.hashes, known.texts, strict=True))
        images = fitted.evidence.split("certification").images
        chosen = np.random.default_rng(SEED).permutation(len(images))[: args.texts]
        articles = [by_hash[images[place]] for place in chosen]
        for threads in (1, 2):
            ours = stack.enter_context(TextPlayer(bundle, threads=threads))
            contestants: dict[str, Answer] = {
                f"ONNX Runtime fp32, padded to {MAX_TOKENS}": peer(fp32, tokenizer, threads, padded=True),
                "ONNX Runtime fp32, no padding": peer(fp32, tokenizer, threads, padded=False),
                f"ours: {ours.rung.name}": lambda text, ours=ours: ours.classify([text]),
            }
            show("Articles", threads, timed(contestants, articles))
            show("First lines", threads, timed(contestants, [text.splitlines()[0] for text in articles]))
    rung = fitted.ladder.rung(fitted.ladder.chosen)
    size = rung.candidate.cost.size_bytes / reference["size_bytes"]
    print(f"\nsize of {rung.name}: {size:.3f} of fp32 (goal {1 / SMALLER:.3f}); goal of speed {FASTER}")


def reference_sha256(fitted: Fitted) -> str:
    """The file of the reference; it stands on the ladder whenever its cost allows."""
    return fitted.ladder.rung("fp32").candidate.artefact_sha256


@contextmanager
def written(data: bytes) -> Iterator[Path]:
    """Bytes as a file while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fp32.onnx"
        path.write_bytes(data)
        yield path


if __name__ == "__main__":
    main()
