"""What all steps of one fit share, and the steps whose answers are kept: traces, ranges, sensitivities, costs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shoestring._version import __version__
from shoestring.analysis import profile
from shoestring.base.cache import Cache
from shoestring.base.canonical import digest
from shoestring.compress import rounding, sensitivity
from shoestring.compress.bias import first_examples, float_means, output_spans
from shoestring.compress.clip import clipped_ranges
from shoestring.compress.equalize import channel_sizes, equalize_all
from shoestring.compress.graph import Graph
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.passes import Workshop
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.scheme import Scheme, scheme_for
from shoestring.compress.walk import Batch
from shoestring.domain.cost import Machine
from shoestring.domain.evidence import Sensitivity, Trace
from shoestring.domain.head import Head
from shoestring.domain.manifest import student_name
from shoestring.domain.model import Model, Profile
from shoestring.domain.preprocess import Preprocess
from shoestring.engines.protocol import Engine
from shoestring.evaluate.dataset import Dataset
from shoestring.evaluate.splits import Splits
from shoestring.fitting import scoring, spread
from shoestring.fitting.progress import Progress
from shoestring.fitting.sources import sources_digest
from shoestring.inputs.image import tensor
from shoestring.inputs.rescale import rescale
from shoestring.runtimes import registry
from shoestring.runtimes.protocol import Array

MAX_BATCH = 16
RUN_BYTES = 48_000_000
"""Activations of one run. With this and WALK_BYTES a fit stays within 300 MB of running fp32 alone, whatever the number
of images (benchmarks/fit_memory.py)."""
WALK_BYTES = 100_000_000
"""Live activations that corrections and probes may hold."""
MAX_THREADS = 16
"""That a rung is measured and scored with: what a compiled program can use at most, and more than boards have cores."""
ROUNDING_BYTES = 500_000_000
"""Live activations that rounding may hold, in each of two networks: 50 photos of MobileNetV2."""
MAX_ROUNDING_EXAMPLES = 200
MAX_WALK_EXAMPLES = 32
MIN_WALK_EXAMPLES = 4


@dataclass(frozen=True)
class Aim:
    """The chip that candidates are made for when it is not this machine.

    Args:
        chip: its name.
        isa: its instruction sets, which decide the types of 8-bit candidates.
        arch: Linux's name of its architecture; empty where unknown.
        cores: of its processor.
        runtimes: that it has, or can have.
        machine: the board itself, where costs are measured on it; None where they are predicted.
    """

    chip: str
    isa: tuple[str, ...]
    arch: str
    cores: int
    runtimes: tuple[str, ...] = ()
    machine: Machine | None = None


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
        through: for a student, the original's pre-processing, from whose pixels its own are made.
        students: workbenches of other models whose candidates stand beside the original's, by name.
        aim: the chip that candidates are for; None for this machine.
        head: of a detector, whose outputs are joined; None for a classifier.
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
    through: Preprocess | None = None
    students: Mapping[str, Workbench] = field(default_factory=dict)
    aim: Aim | None = None
    head: Head | None = None

    def of(self, candidate: str) -> Workbench:
        """The workbench that a candidate of this name comes from: a student's, or this one."""
        name = student_name(candidate)
        return self if name is None else self.students[name]

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
            **({} if self.through is None else {"through": self.through}),
            **({} if self.aim is None else {"made for": self.aim.isa}),
        }

    @property
    def head_basis(self) -> dict[str, Any]:
        """What else every answer depends on that reads a detector's output; nothing for a classifier."""
        return {} if self.head is None else {"head": self.head, "heads": sources_digest("heads")}

    def basis_on(self, runtime: str) -> dict[str, Any]:
        """`basis`, for an answer that another runtime gives."""
        return {**self.basis, "runtime": runtime, "runtime_version": registry.get(runtime).version()}

    @property
    def threads(self) -> int:
        """All cores, as far as rungs can use them."""
        return min(self.machine.cores, MAX_THREADS)

    @property
    def program_threads(self) -> int:
        """That a compiled program may use: it is tried here, and runs on the chip."""
        return self.threads if self.aim is None else max(self.threads, min(self.aim.cores, MAX_THREADS))

    @property
    def scheme(self) -> Scheme:
        """The 8-bit types that suit the chip."""
        return scheme_for(self.machine.isa if self.aim is None else self.aim.isa)

    def seen(self, pixels: Array) -> Array:
        """Pixels (n, height, width, channels) that the original's pre-processing made, as this model sees them."""
        if self.through is None:
            return pixels
        return np.stack([rescale(image, self.through, self.spec) for image in pixels])

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
    def lowered(self) -> Graph:
        """The float graph with means as pools."""
        return LowerMean().run(Graph.load(self.model.path), {})[0]

    @functools.cached_property
    def graph(self) -> Graph:
        """The float graph that is quantized, with the rewrites that all candidates of 8 bits share."""
        graph = self.lowered.copy()
        equalize_all(graph, self.sizes)
        return graph

    @functools.cached_property
    def sizes(self) -> Mapping[str, Array]:
        """Of the channels that equalization scales, over the calibration split; kept."""
        question = {**self.basis, "model": self.model.sha256, "images": self.calibration_digest, "of": "sizes"}

        def compute() -> dict[str, tuple[float, ...]]:
            seen = channel_sizes(self.lowered, lambda: self.feed(self.splits.calibration), self.machine.cores)
            return {name: tuple(float(value) for value in values) for name, values in seen.items()}

        kept = self.cache.noun("sizes", question, dict[str, tuple[float, ...]], compute)
        return {name: np.array(values) for name, values in kept.items()}

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
            self.spec, self.model.inputs[0].name, self.model.outputs[0].name, batch, self.fixed_batch, self.head
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
    def rounding_batches(self) -> list[Batch]:
        """The calibration examples that rounding holds in memory."""
        peak = max(1, self.profile.peak_activation_bytes)
        count = int(np.clip(ROUNDING_BYTES // peak, MIN_WALK_EXAMPLES, MAX_ROUNDING_EXAMPLES))
        return first_examples(lambda: self.feed(self.splits.calibration), count)

    @functools.cached_property
    def workshop(self) -> Workshop:
        """What recipes need from calibration."""
        scheme = self.scheme
        spans = output_spans(self.graph, self.ranges(scheme), scheme.activation_limits)
        means = float_means(self.graph, self.walk_batches, self.machine.cores, spans)
        return Workshop(
            original=self.graph,
            ranges=self.ranges(scheme),
            sizes=self.sizes,
            batches=self.walk_batches,
            rounding_batches=self.rounding_batches,
            means=means,
            spans=spans,
            threads=self.machine.cores,
        )

    def sensitivity(self, scheme: Scheme) -> tuple[Sensitivity, ...]:
        """How much each layer's rounding hurts, worst first; kept."""
        question = {
            **self.basis,
            "model": self.model.sha256,
            "images": self.calibration_digest,
            "scheme": scheme,
            "walk": WALK_BYTES,
            **self.head_basis,
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
                self.head,
            )

        return self.cache.noun("sensitivity", question, tuple[Sensitivity, ...], compute)

    def follow_drift(self, scheme: Scheme) -> bool:
        """Whether weights should make up for the rounding of earlier layers; kept."""
        question = {
            **self.basis,
            "model": self.model.sha256,
            "images": self.calibration_digest,
            "scheme": scheme,
            **self.head_basis,
        }

        def compute() -> bool:
            self.progress("trying how to round", 0, 0)
            ranges, threads = self.ranges(scheme), self.machine.cores
            return rounding.follow_drift(self.graph, ranges, scheme, self.rounding_batches, threads, self.head)

        return self.cache.noun("drift", question, bool, compute)

    @functools.cached_property
    def calibration_digest(self) -> str:
        """Of the images that ranges and corrections rest on."""
        return digest([self.dataset.hashes[i] for i in self.splits.calibration])
