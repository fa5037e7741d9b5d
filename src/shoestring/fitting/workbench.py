"""What all steps of one fit share, and the steps whose answers are kept: traces, ranges, sensitivities, costs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shoestring._version import __version__
from shoestring.analysis import profile
from shoestring.base.cache import Cache
from shoestring.base.canonical import digest
from shoestring.compress import sensitivity
from shoestring.compress.bias import first_examples, float_means
from shoestring.compress.clip import clipped_ranges
from shoestring.compress.graph import Graph
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.passes import Workshop
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.scheme import Scheme, scheme_for
from shoestring.compress.walk import Batch
from shoestring.domain.cost import Machine
from shoestring.domain.evidence import Sensitivity, Trace
from shoestring.domain.model import Model, Profile
from shoestring.domain.preprocess import Preprocess
from shoestring.engines.protocol import Engine
from shoestring.evaluate.dataset import Dataset
from shoestring.evaluate.splits import Splits
from shoestring.fitting import scoring, spread
from shoestring.fitting.progress import Progress
from shoestring.fitting.sources import sources_digest
from shoestring.inputs.image import tensor
from shoestring.runtimes import registry

MAX_BATCH = 16
RUN_BYTES = 48_000_000
"""Activations of one run. With this and WALK_BYTES a fit stays within 300 MB of running fp32 alone, whatever the number
of images (benchmarks/fit_memory.py)."""
WALK_BYTES = 100_000_000
"""Live activations that corrections and probes may hold."""
MAX_THREADS = 16
"""That a rung is measured and scored with: what a compiled program can use at most, and more than boards have cores."""
MAX_WALK_EXAMPLES = 32
MIN_WALK_EXAMPLES = 4


@dataclass(frozen=True)
class Workbench:
    """One model, one data set, one machine.

    Args:
        model: normalised.
        dataset: with its splits.
        spec: pre-processing, settled.
        runtime: name of the runtime that runs the original and every ONNX candidate.
        machine: this one.
        cache: of finished steps.
        progress: where it is said what is done.
        engine: does scoring and probing in other processes or on other machines; None does them here.
    """

    model: Model
    dataset: Dataset
    splits: Splits
    spec: Preprocess
    runtime: str
    machine: Machine
    cache: Cache
    progress: Progress
    engine: Engine | None = None

    @functools.cached_property
    def basis(self) -> dict[str, Any]:
        """What every kept answer depends on beside its own question."""
        return {
            "version": __version__,
            "compress": sources_digest("compress"),
            "runtime": self.runtime,
            "runtime_version": registry.get(self.runtime).version(),
            "isa": self.machine.isa,
            "spec": self.spec,
        }

    def basis_on(self, runtime: str) -> dict[str, Any]:
        """`basis`, for an answer that another runtime gives."""
        return {**self.basis, "runtime": runtime, "runtime_version": registry.get(runtime).version()}

    @property
    def threads(self) -> int:
        """All cores, as far as rungs can use them."""
        return min(self.machine.cores, MAX_THREADS)

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the model's input fixes, or None."""
        return self.model.inputs[0].shape[0]

    @functools.cached_property
    def profile(self) -> Profile:
        """What one example takes."""
        return profile(self.model.path)

    def batch(self, bytes_each: int) -> int:
        """Examples a run when each holds this many bytes of activations."""
        return self.fixed_batch or int(np.clip(RUN_BYTES // max(1, bytes_each), 1, MAX_BATCH))

    @functools.cached_property
    def graph(self) -> Graph:
        """The float graph that recipes start from, with the rewrites that all of them share."""
        return LowerMean().run(Graph.load(self.model.path), {})[0]

    def feed(self, indices: Sequence[int]) -> Iterator[Batch]:
        """Model inputs for calibration, in batches; a fixed batch drops a last one that is not full.

        Observers look at every tensor, and the runtime may keep all of them until the end of a run, so that here an
        example takes the sum of its activations, not their peak.
        """
        size = self.batch(sum(layer.written_bytes for layer in self.profile.layers))
        for pixels in self.dataset.batches(indices, self.spec, size):
            if self.fixed_batch is None or len(pixels) == size:
                yield {self.model.inputs[0].name: tensor(pixels, self.spec)}

    def trace(
        self, name: str, artefact: Path, sha256: str, split: str, runtime: str | None = None, count: int | None = None
    ) -> Trace:
        """What a model file answers on a split, on the bench's own runtime or another one; kept.

        Args:
            name: for the trace and for progress.
            artefact: the model file.
            sha256: of it.
            split: `selection` or `certification`.
            runtime: None for the bench's own.
            count: only the first images; None for all.
        """
        subject = scoring.Subject(name, artefact, sha256, runtime or self.runtime)
        return Trace(name, split, scoring.answers(self, subject, split, count))

    @property
    def feeding(self) -> scoring.Feeding:
        """From pixels to outputs."""
        batch = self.batch(self.profile.peak_activation_bytes)
        return scoring.Feeding(
            self.spec, self.model.inputs[0].name, self.model.outputs[0].name, batch, self.fixed_batch
        )

    def ranges(self, scheme: Scheme) -> Mapping[str, Range]:
        """Ranges of all tensors: smallest and largest over the calibration split, signed ones clipped; kept."""
        question = {**self.basis, "model": self.model.sha256, "images": self.calibration_digest, "scheme": scheme}

        def compute() -> dict[str, Range]:
            self.progress(f"calibrating on {len(self.splits.calibration)} images", 0, 0)
            graph, threads = self.graph, self.machine.cores
            seen = value_ranges(graph, lambda: self.feed(self.splits.calibration), needed_ranges(graph), threads)
            return clipped_ranges(graph, seen, self.walk_batches, scheme.activation_limits, threads)

        return self.cache.noun("ranges", question, dict[str, Range], compute)

    @functools.cached_property
    def walk_batches(self) -> list[Batch]:
        """The calibration examples that probes and corrections hold in memory."""
        peak = max(1, self.profile.peak_activation_bytes)
        count = int(np.clip(WALK_BYTES // peak, MIN_WALK_EXAMPLES, MAX_WALK_EXAMPLES))
        return first_examples(lambda: self.feed(self.splits.calibration), count)

    @functools.cached_property
    def workshop(self) -> Workshop:
        """What recipes need from calibration."""
        means = float_means(self.graph, self.walk_batches, self.machine.cores)
        return Workshop(self.ranges(scheme_for(self.machine.isa)), self.walk_batches, means, self.machine.cores)

    def sensitivity(self, scheme: Scheme) -> tuple[Sensitivity, ...]:
        """How much each layer's rounding hurts, worst first; kept."""
        question = {
            **self.basis,
            "model": self.model.sha256,
            "images": self.calibration_digest,
            "scheme": scheme,
            "walk": WALK_BYTES,
        }

        def compute() -> tuple[Sensitivity, ...]:
            def say(done: int, total: int) -> None:
                self.progress("probing layers", done, total)

            return sensitivity.probe(
                self.graph,
                self.ranges(scheme),
                scheme,
                self.walk_batches,
                self.machine.cores,
                say,
                None if self.engine is None else spread.probes(self.engine),
            )

        return self.cache.noun("sensitivity", question, tuple[Sensitivity, ...], compute)

    @functools.cached_property
    def calibration_digest(self) -> str:
        """Of the images that ranges and corrections rest on."""
        return digest([self.dataset.hashes[i] for i in self.splits.calibration])
