"""The steps of one distillation."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from shoestring.base import disk
from shoestring.base.errors import EngineError, ModelError
from shoestring.chips.host import this_machine
from shoestring.compress.graph import Graph
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.scheme import scheme_for
from shoestring.domain.model import Model
from shoestring.domain.preprocess import Preprocess
from shoestring.fitting.progress import Progress
from shoestring.importers.trained_on import mark
from shoestring.runtimes import registry
from shoestring.training.blocks import has_global_pool, residual_blocks, with_smaller_image, without_blocks
from shoestring.training.images import Images, batches
from shoestring.training.lib import torch
from shoestring.training.loop import Schedule, Trainer
from shoestring.training.meter import Meter, RealMeter
from shoestring.training.network import Network, add_norms, log_probabilities, to_graph
from shoestring.training.rounding import exact, grids, mean_kl_and_agreement, quantize, round_while_training
from shoestring.training.search import Found, Shape, families, pick, search
from shoestring.training.settings import Settings
from shoestring.training.slim import slim
from shoestring.training.work import Work

THREADS = 1  # latency is that of one thread: what a cheap chip has to spare
SMALLEST_IMAGE = 32  # pixels; less leaves nothing to see for networks that halve it five times
NORM_IMAGES = 256
RANGE_IMAGES = 256
HARM_IMAGES = 128
RACE_PART, RACE_LEAST, RACE_MOST = 0.05, 30, 400  # of the steps of training, for each contestant
ROUNDING_RATE = 0.05  # of the learning rate, while rounding
LAST_SECONDS = 2.0  # of timing at the end
EQUAL = 1e-3  # of the largest output: what two float32 engines may differ by


@dataclass(frozen=True)
class Scores:
    """See `Distilled`."""

    latency_ms: float
    original_ms: float
    agreement: float
    agreement_int8: float
    parameters: int


class Run:
    """One model, one set of images, one target.

    Args:
        model: normalised.
        images: to learn from and to look at.
        spec: pre-processing.
        settings: how to train.
        target_ms: latency asked for.
        work: directory of what is done.
        progress: called as work goes on.
        meter: measures a float graph; None for the real one.
    """

    def __init__(
        self,
        model: Model,
        images: Images,
        spec: Preprocess,
        settings: Settings,
        target_ms: float,
        work: Work,
        progress: Progress,
        meter: Meter | None = None,
    ) -> None:
        self.model, self.images, self.spec, self.settings = model, images, spec, settings
        self.target_ms, self.work, self.progress = target_ms, work, progress
        self.machine = this_machine()
        self.scheme = scheme_for(self.machine.isa)
        self.graph = LowerMean().run(Graph.load(model.path), {})[0]
        self.input = model.inputs[0].name
        torch.set_num_threads(settings.threads)
        self.teacher = self._on_device(Network(self.graph)).eval()
        self._check_twin(self.teacher, self.graph)
        self.meter = meter
        self.remarks: dict[str, None] = {}

    def student(self) -> tuple[Found, Graph, tuple[str, ...]]:
        """The chosen shape, the trained student as a float graph, and notes."""
        started = self.work.start()
        if started is None:
            found, network, graph = self._choose()
            self.work.keep_start(found, network, graph)
            started = self.work.start()
        if started is None:
            raise EngineError(f"what was written to {self.work.root} is not there")
        found, network, graph = started
        before = self._train("float", network, graph, self.settings.epochs - self.settings.rounding_epochs)
        if not self.settings.rounding_epochs:
            return found, before, ()
        after = self._train_rounding(before)
        scores = [self._divergence(self._int8(one))[0] for one in (before, after)]
        said = f"rounding in the last epochs: {scores[0]:.4f} nats in 8 bits before, {scores[1]:.4f} after"
        if scores[1] < scores[0]:
            return found, after, (said,)
        return found, before, (f"{said}; it did not help, the student before it was kept",)

    def deliver(self, student: Graph) -> bytes:
        """The ONNX file: interface of the original, digest of the training images inside.

        Raises:
            EngineError: the file has another interface than the original.
            ModelError: it answers otherwise than what was trained.
        """
        proto = onnx.ModelProto.FromString(student.to_bytes())
        mark(proto, self.images.hashes)
        data = bytes(proto.SerializeToString(deterministic=True))
        onnx.checker.check_model(data)
        with registry.get("onnxruntime").load(data, 1) as session:
            wanted = (self.model.inputs[0], self.model.outputs[0])
            if (session.inputs[0], session.outputs[0]) != wanted:
                raise EngineError(f"the student takes {session.inputs} and gives {session.outputs}, not {wanted}")
        self._check_twin(self._on_device(Network(student)).eval(), student)
        return data

    def judge(self, student: Graph) -> Scores:
        """Agreement on the held-out images, and latency beside the original."""
        self.progress("judging the student", 0, 0)
        meter = self.meter or replace(self._meter, seconds_each=LAST_SECONDS)
        return Scores(
            latency_ms=meter(student),
            original_ms=meter(self.graph),
            agreement=self._divergence(student)[1],
            agreement_int8=self._divergence(self._int8(student))[1],
            parameters=sum(value.size for value in student.weights.values() if value.dtype == np.float32),
        )

    # --- which student -----------------------------------------------------------------------------------------------

    def _choose(self) -> tuple[Found, Network, Graph]:
        shapes = families(self._image_factors(), self._harmless())
        measured = self.work.latencies()
        meter = self.meter or self._meter

        def latency(shape: Shape) -> float:
            if shape not in measured:
                self.progress(f"measuring: {shape.words()}", 0, 0)
                network, graph = self._build(shape)
                measured[shape] = meter(to_graph(network, graph))
                self.work.keep_latencies(measured)
                self._say(f"{shape.words()}: {measured[shape]:.3f} ms")
            return measured[shape]

        found = search(shapes, latency, self.target_ms, self._say)
        trained: dict[Shape, tuple[Network, Graph]] = {}

        def divergence(one: Found) -> float:
            network, graph = self._build(one.shape)
            schedule = self._schedule(self.settings.epochs, self.settings.rate, f"race: {one.shape.words()}")
            steps = schedule.steps_per_epoch(len(self.images.train)) * self.settings.epochs
            most = int(np.clip(RACE_PART * steps, RACE_LEAST, RACE_MOST))
            trainer = Trainer(self.teacher, network, self._feed, self.images.train, schedule, most)
            trainer.run(self.work.race(one.shape), self._judge_network, self.progress)
            trained[one.shape] = (trainer.average, graph)
            return self._judge_network(trainer.average)[0]

        best = pick(found, divergence, self._say)
        network, graph = trained.get(best.shape) or self._build(best.shape)
        return best, network, graph

    def _build(self, shape: Shape) -> tuple[Network, Graph]:
        """An untrained student, with norms, and the graph that says what its layers are for."""
        graph = with_smaller_image(without_blocks(self.graph, shape.dropped), shape.image)
        network = self._on_device(Network(graph))
        add_norms(network, list(self._feed(self.images.train[:NORM_IMAGES])))
        slim(network, graph, shape.ratio, next(self._feed(self.images.train[:1])))
        return self._on_device(network), graph

    def _image_factors(self) -> tuple[int, ...]:
        """How many times smaller the image may be: 1, and where the network averages positions away also 2 and 4."""
        height, width = self.spec.height, self.spec.width
        if not has_global_pool(self.graph) or self.spec.layout != "nchw":
            return (1,)
        return tuple(
            factor
            for factor in (1, 2, 4)
            if height % factor == width % factor == 0
            and (factor == 1 or min(height, width) // factor >= SMALLEST_IMAGE)
        )

    def _harmless(self) -> tuple[str, ...]:
        """Residual blocks, the one whose removal moves the answers least first."""
        blocks = residual_blocks(self.graph)
        held = self.images.held[:HARM_IMAGES]
        harm = {}
        for done, block in enumerate(blocks):
            self.progress("trying the net without each residual block", done, len(blocks))
            network = self._on_device(Network(without_blocks(self.graph, [block.name]))).eval()
            harm[block.name] = self._judge_network(network, held)[0]
        return tuple(sorted(harm, key=lambda name: harm[name]))

    # --- training ----------------------------------------------------------------------------------------------------

    def _train(self, name: str, network: Network, graph: Graph, epochs: int) -> Graph:
        """The trained network as a graph, from the work directory when it is finished."""
        checkpoint, result = self.work.stage(name)
        if not result.exists():
            rate = self.settings.rate * (1 if name == "float" else ROUNDING_RATE)
            trainer = Trainer(
                self.teacher,
                self._on_device(network),
                self._feed,
                self.images.train,
                self._schedule(epochs, rate, "training" if name == "float" else "training with 8-bit rounding"),
            )
            trainer.run(checkpoint, self._judge_network, self.progress)
            exact(trainer.average)
            disk.write_bytes(result, to_graph(trainer.average, graph).to_bytes())
        return Graph.load(result)

    def _train_rounding(self, before: Graph) -> Graph:
        network = Network(before)
        round_while_training(network, grids(self._int8(before), self.scheme), self.scheme)
        return self._train("int8", network, before, self.settings.rounding_epochs)

    def _schedule(self, epochs: int, rate: float, name: str) -> Schedule:
        return Schedule(epochs, min(self.settings.batch, len(self.images.train)), rate, self.settings.seed, name)

    # --- looking at it -----------------------------------------------------------------------------------------------

    def _judge_network(self, network: Network, held: Sequence[int] | None = None) -> tuple[float, float]:
        """Mean KL in nats and agreement on the held-out images, in torch."""
        indices = self.images.held if held is None else tuple(held)
        network.eval()
        parts = []
        with torch.no_grad():
            for batch in self._feed(indices):
                parts.append(log_probabilities(network, network(batch)).cpu().double().numpy())
        return mean_kl_and_agreement(self._teacher_says[: len(indices)], np.concatenate(parts))

    @functools.cached_property
    def _teacher_says(self) -> Any:
        """Log-probabilities of the original on the held-out images, (n, classes)."""
        with torch.no_grad():
            parts = [
                log_probabilities(self.teacher, self.teacher(batch)).cpu().double().numpy()
                for batch in self._feed(self.images.held)
            ]
        return np.concatenate(parts)

    def _divergence(self, graph: Graph) -> tuple[float, float]:
        """Mean KL in nats and agreement on the held-out images, on ONNX Runtime."""
        parts = []
        with registry.get("onnxruntime").load(graph.to_bytes(), self.settings.threads) as session:
            for batch in self._arrays(self.images.held):
                output = session.run({self.input: batch})[self.model.outputs[0].name]
                parts.append(log_probabilities(self.teacher, torch.from_numpy(output).double()).numpy())
        said = np.concatenate(parts)
        return mean_kl_and_agreement(self._teacher_says[: len(said)], said)

    def _int8(self, graph: Graph) -> Graph:
        arrays = list(self._arrays(self.images.train[:RANGE_IMAGES]))
        return quantize(graph, arrays, self.scheme, self.settings.threads)

    def _check_twin(self, network: Network, graph: Graph) -> None:
        """Raises ModelError when torch and ONNX Runtime answer differently."""
        batch = next(self._arrays(self.images.train[: self.settings.batch]))
        with registry.get("onnxruntime").load(graph.to_bytes(), 1) as session:
            wanted = session.run({self.input: batch})[self.model.outputs[0].name]
        with torch.no_grad():
            given = network(self._tensor(batch)).cpu().numpy()
        off, size = float(np.abs(given - wanted).max()), float(np.abs(wanted).max())
        if not off <= EQUAL * max(size, 1.0):
            raise ModelError(f"torch and ONNX Runtime differ by {off:g} on outputs of up to {size:g}")

    @functools.cached_property
    def _meter(self) -> RealMeter:
        return RealMeter([next(self._arrays(self.images.train[:8]))], self.scheme, self.machine, THREADS, self._remark)

    # --- images ------------------------------------------------------------------------------------------------------

    def _arrays(self, indices: Sequence[int]) -> Iterator[Any]:
        """Inputs for an ONNX engine; a batch that the model fixes is kept, and a part of one left out."""
        fixed = self.model.inputs[0].shape[0]
        for batch in batches(self.images.dataset, indices, self.spec, fixed or self.settings.batch):
            if fixed is None or len(batch) == fixed:
                yield batch

    def _feed(self, indices: Sequence[int]) -> Iterator[Any]:
        for batch in batches(self.images.dataset, indices, self.spec, self.settings.batch):
            yield self._tensor(batch)

    def _tensor(self, batch: Any) -> Any:
        return torch.from_numpy(batch).to(self.settings.device).contiguous(memory_format=torch.channels_last)

    def _on_device(self, network: Network) -> Network:
        moved: Network = network.to(self.settings.device, memory_format=torch.channels_last)
        return moved

    def _remark(self, words: str) -> None:
        self.remarks[words] = None

    def _say(self, words: str) -> None:
        self.progress(words, 0, 0)
