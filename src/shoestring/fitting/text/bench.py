"""What all steps of one fit of an encoder share, and what a model file answers to the texts of a split; kept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring._version import __version__
from shoestring.base import disk
from shoestring.base.cache import Cache
from shoestring.base.canonical import digest
from shoestring.compress.graph import Graph
from shoestring.compress.passes import Workshop
from shoestring.compress.scheme import Scheme, scheme_for
from shoestring.domain.cost import Machine
from shoestring.domain.model import Model
from shoestring.domain.text import TextInput
from shoestring.evaluate.splits import Splits
from shoestring.evaluate.texts import Texts
from shoestring.fitting.assemble import npy_bytes
from shoestring.fitting.progress import Progress
from shoestring.fitting.sessions import blame, open_session
from shoestring.fitting.sources import sources_digest
from shoestring.inputs.text import TextReader, run_texts
from shoestring.runtimes import registry

Array = npt.NDArray[Any]
MAX_THREADS = 16
CALIBRATION_TEXTS = 48
"""That passes see, one a batch and without padding: 10,000 tokens of news, ten for each channel of a wide encoder."""
CALIBRATION_TOKENS = 12_288
"""Of them together: joints of 12 blocks of 768 channels then take 500 MB."""


@dataclass(frozen=True)
class TextBench:
    """One encoder, one set of texts, one machine.

    Args:
        model: normalised, without a probe.
        reader: its tokenizer.
        texts: with their splits.
        splits: of them.
        machine: this one.
        runtime: that runs the original.
        cache: of finished steps.
        progress: where it is said what is done.
    """

    model: Model
    reader: TextReader
    texts: Texts
    splits: Splits
    machine: Machine
    runtime: str
    cache: Cache
    progress: Progress

    @property
    def spec(self) -> TextInput:
        return self.reader.spec

    @property
    def threads(self) -> int:
        return min(self.machine.cores, MAX_THREADS)

    @property
    def scheme(self) -> Scheme:
        return scheme_for(self.machine.isa)

    @functools.cached_property
    def graph(self) -> Graph:
        return Graph.load(self.model.path)

    @functools.cached_property
    def basis(self) -> dict[str, Any]:
        """What every kept answer depends on beside its own question."""
        return {
            "version": __version__,
            "compress": sources_digest("compress"),
            "inputs": sources_digest("inputs"),
            "isa": self.machine.isa,
            "text": self.spec,
            "model": self.model.sha256,
            "calibration": digest([self.texts.hashes[i] for i in self.splits.calibration]),
        }

    @functools.cached_property
    def workshop(self) -> Workshop:
        """What passes see of the calibration texts."""
        batches, left = [], CALIBRATION_TOKENS
        for text in self.split_texts("calibration")[:CALIBRATION_TEXTS]:
            feeds, _ = self.reader.one(text)
            count = len(self.reader.tokens([text])[0].ids)
            batches.append({name: value[:, :count] for name, value in feeds.items()})
            left -= count
            if left <= 0 and len(batches) >= 8:
                break
        return Workshop(
            original=self.graph,
            ranges={},
            sizes={},
            batches=batches,
            rounding_batches=batches,
            means={},
            spans={},
            threads=self.threads,
        )

    def split_texts(self, split: str) -> tuple[str, ...]:
        indices: Sequence[int] = getattr(self.splits, split)
        return tuple(self.texts.texts[i] for i in indices)

    def split_labels(self, split: str) -> tuple[int, ...] | None:
        labels = self.texts.labels
        indices: Sequence[int] = getattr(self.splits, split)
        return None if labels is None else tuple(labels[i] for i in indices)

    def outputs(self, name: str, path: Path, sha256: str, runtime: str, split: str) -> Array:
        """What a model file answers to the texts of a split, float32 (n, values); kept.

        One text a run, padded to its bucket, as a device runs it: ranges that are found at run time depend on what
        else is in a batch.

        Raises:
            CandidateError: a runtime of others failed.
            EngineError: another one.
        """
        texts = self.split_texts(split)
        question = {
            **self.basis,
            "of": sha256,
            "runtime": runtime,
            "runtime_version": registry.get(runtime).version(),
            "texts": digest([self.texts.hashes[i] for i in getattr(self.splits, split)]),
        }

        def write(target: Path) -> None:
            with blame(name, runtime), open_session(runtime, path, self.threads) as session:
                output = session.outputs[0].name
                rows = run_texts(
                    self.reader,
                    lambda feeds: session.run(feeds)[output],
                    texts,
                    lambda done: self.progress(f"scoring {name} on {split}", done, len(texts)),
                    batch_tokens=1,
                )
            disk.write_bytes(target, npy_bytes(rows))

        answers: Array = np.load(self.cache.file("texts", question, ".npy", write), allow_pickle=False)
        return answers

    def typical(self) -> tuple[dict[str, Array], int]:
        """Inputs of the calibration text of median length, on its bucket; and its tokens."""
        texts = self.split_texts("calibration")
        lengths = [len(one.ids) for one in self.reader.tokens(texts)]
        place = sorted(range(len(texts)), key=lambda i: (lengths[i], i))[len(texts) // 2]
        return self.reader.one(texts[place])[0], lengths[place]
