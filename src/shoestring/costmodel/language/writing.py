"""Tokens a second while a model writes, from the bytes that its own file has of each type.

The scale between arithmetic and measurement is that of `costmodel.accelerators.decode`, learnt from published rows.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.costmodel.accelerators.decode import (
    HEAD_WEIGHT,
    LAYER_GB_S,
    LAYER_MS,
    DecodePoint,
    bus_of,
    claim,
    decode_points,
    labels,
    layer_seconds,
    runtime_family,
)
from shoestring.costmodel.accelerators.language_models import LanguageModel
from shoestring.costmodel.language.key_value import read_bytes
from shoestring.costmodel.language.prefill import large_cores
from shoestring.costmodel.language.stored import Stored, stored
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.measured import Row
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile

RUNTIME = "llama.cpp"
FAMILY = runtime_family(RUNTIME, "cpu")
FEW = "rows are of all large cores; fewer threads are between linear and not slower at all"


def seconds_a_token(model: Transformer, kept: Stored, cache: str, tokens: int, gb_s: float) -> float:
    """Arithmetic alone: weights and cache over the bus, read only, plus a cost for each layer.

    Args:
        model: dimensions.
        kept: bytes of the file.
        cache: block type of keys and values.
        tokens: of context so far.
        gb_s: memcpy of large blocks, bytes copied.
    """
    moved = kept.body_bytes + HEAD_WEIGHT * kept.head_bytes + read_bytes(model, cache, tokens)
    return moved / (2e9 * gb_s) + layer_seconds(FAMILY, gb_s) * model.layers


def predict_writing(
    model: Transformer,
    file: WeightsFile,
    chip: Chip,
    *,
    cache: str,
    tokens: int,
    rows: Sequence[Row],
    threads: int | None = None,
    own: Sequence[DecodePoint] = (),
) -> Estimate | NoClaim:
    """Tokens a second that llama.cpp writes on a chip's processor.

    Args:
        model: dimensions.
        file: header.
        chip: where.
        cache: block type of keys and values.
        tokens: of context so far.
        rows: published measurements and the user's own.
        threads: None for all large cores.
        own: this network measured elsewhere (`measured_point`): what it has to itself is carried over.
    """
    kept = stored(model, file)
    found = claim(
        kept.name,
        lambda gb_s: seconds_a_token(model, kept, cache, tokens, gb_s),
        chip,
        runtime=RUNTIME,
        precision=kept.precision,
        rows=rows,
        own=own,
    )
    if isinstance(found, NoClaim):
        return found
    if own:
        found = replace(found, rests_on=(*found.rests_on, f"{len(own)} measurements of this network elsewhere"))
    else:
        found = _beyond(found, model, kept, chip, rows, cache, tokens)
    most = large_cores(chip)
    if threads is None or threads >= most:
        return found
    share = threads / most
    value = found.value * math.sqrt(share)
    return replace(found, value=value, low=found.low * share, widened=(*found.widened, FEW))


def _beyond(
    found: Estimate, model: Transformer, kept: Stored, chip: Chip, rows: Sequence[Row], cache: str, tokens: int
) -> Estimate:
    """Of a network smaller than any that was measured, the lower end with the cost of a layer of other runtimes."""
    smallest = min(point.model.body_params for point in decode_points(rows) if point.label[0] == FAMILY)
    body = model.parameters - model.vocabulary * model.width * (1 if model.tied else 2)
    bus = bus_of(chip)
    if body >= smallest or bus is None:
        return found
    base = seconds_a_token(model, kept, cache, tokens, bus.gb_s)
    more = (LAYER_MS * 1e-3 * LAYER_GB_S / bus.gb_s - layer_seconds(FAMILY, bus.gb_s)) * model.layers
    why = (
        f"the smallest model measured with llama.cpp has {smallest / 1e6:,.0f} million parameters in its blocks, this "
        f"one {body / 1e6:,.0f}: what a layer costs beside its weights is little known"
    )
    return replace(found, low=found.low * base / (base + more), widened=(*found.widened, why))


def measured_point(
    model: Transformer, file: WeightsFile, chip: Chip, *, cache: str, tokens: int, tokens_s: float
) -> DecodePoint | NoClaim:
    """A rate measured on a chip, so that it says something of the same network on others.

    Args:
        model: dimensions.
        file: header.
        chip: where it was measured, with its bandwidth.
        cache: block type of keys and values.
        tokens: of context.
        tokens_s: measured with all large cores, above zero.
    """
    bus = bus_of(chip)
    if bus is None:
        return NoClaim(f"{chip.name}: its memory bandwidth is unknown; probe it")
    kept = stored(model, file)
    head = float(model.vocabulary * model.width)
    counts = LanguageModel(kept.name, model.layers, max(1.0, model.parameters - head), head)
    label = labels(FAMILY, kept.precision, bus.soc)
    return DecodePoint(counts, label, seconds_a_token(model, kept, cache, tokens, bus.gb_s), tokens_s, "measured here")


__all__ = ["RUNTIME", "measured_point", "predict_writing", "seconds_a_token"]
