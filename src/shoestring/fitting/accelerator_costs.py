"""What a model is predicted to cost on an accelerator, in the form of a rung's cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.costmodel.accelerators import predict_accelerator
from shoestring.costmodel.memory import predict_memory
from shoestring.domain.cost import Cost, Predicted, Timing
from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.legalise.trtexec import CONTEXT_BYTES, MIB, workspace_mib

if TYPE_CHECKING:
    from shoestring.domain.features import Features
    from shoestring.domain.model import Model
    from shoestring.fitting.elsewhere import Elsewhere


@dataclass(frozen=True)
class Ask:
    """What a cost is asked for: the chip, the model, its features."""

    there: Elsewhere
    model: Model
    features: Features


def edge_tpu_cost(ask: Ask, size_bytes: int, reference: Cost) -> Cost | NoClaim:
    """On the Edge TPU, all operators mapped.

    Args:
        ask: chip and model.
        size_bytes: of the file.
        reference: of the original on the chip's processor.
    """
    latency = _latency(ask, "edgetpu", "litert", "int8")
    memory = predict_memory(ask.features, ask.there.chip, runtime="litert", precision="int8", size_bytes=size_bytes)
    return _cost(ask, latency, memory, size_bytes, reference)


def tensorrt_cost(ask: Ask, size_bytes: int, reference: Cost) -> Cost | NoClaim:
    """On a Jetson's GPU in fp16; memory is CUDA's context, the engine, its activations, and at most the workspace."""
    latency = _latency(ask, "gpu", "tensorrt", "fp16")
    elements = ask.features.peak_activation_elems
    if elements is None:
        return NoClaim(f"the peak of live activations of {ask.features.name} is unknown")
    weights, activations = 2 * ask.features.params, 2 * elements
    try:
        space = workspace_mib(ask.there.chip, 2 * weights, 2 * activations) * MIB
    except UsageError as error:
        return NoClaim(error.message)
    value = float(CONTEXT_BYTES + weights + activations)
    memory = Estimate(
        value=value,
        low=float(weights),
        high=value + space,
        unit="bytes",
        ground="formula",
        rests_on=(f"{CONTEXT_BYTES // MIB} MiB of CUDA's context (a judgement), weights and activations in fp16",),
        protocol="peak resident memory of a process that loads the engine and runs it",
        widened=(f"up to {space // MIB} MiB of workspace",),
    )
    return _cost(ask, latency, memory, size_bytes, reference)


def _latency(ask: Ask, device: str, runtime: str, precision: str) -> Estimate | NoClaim:
    return predict_accelerator(
        ask.features,
        ask.there.chip,
        device=device,
        runtime=runtime,
        precision=precision,
        rows=ask.there.rows,
        networks=ask.there.networks,
    )


def _cost(
    ask: Ask, latency: Estimate | NoClaim, memory: Estimate | NoClaim, size_bytes: int, reference: Cost
) -> Cost | NoClaim:
    """Ratios take both sides for independent, so their intervals are wide."""
    if isinstance(latency, NoClaim):
        return latency
    if isinstance(memory, NoClaim):
        return memory
    other = reference.at(1)
    timing = Timing(
        threads=1,
        median_ms=latency.value,
        low_ms=latency.low,
        high_ms=latency.high,
        runs=0,
        ratio_to_original=latency.value / other.median_ms,
        ratio_low=latency.low / other.high_ms,
        ratio_high=latency.high / other.low_ms,
    )
    predicted = Predicted(
        chip=ask.there.chip.name,
        ground=latency.ground,
        rests_on=(*latency.rests_on, *memory.rests_on),
        widened=(*latency.widened, *memory.widened),
        confidence=latency.confidence,
        memory_low_bytes=math.floor(memory.low),
        memory_high_bytes=math.ceil(memory.high),
    )
    return Cost((timing,), round(memory.value), size_bytes, predicted)
