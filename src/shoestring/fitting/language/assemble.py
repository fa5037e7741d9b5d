"""Manifest, evidence and golden set of a finished ladder of a model that writes."""

from __future__ import annotations

import importlib.metadata
import io
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring._version import __version__
from shoestring.base.canonical import encode, sha256_hex
from shoestring.bundle.bom import with_bom
from shoestring.domain.evidence import Evidence, Sensitivity, Split
from shoestring.domain.manifest import FORMAT, Blob, Golden, Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.text import Generation
from shoestring.fitting.outcome import Fitted

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.domain.divergence import BlockTrace
    from shoestring.domain.ladder import Ladder
    from shoestring.domain.text import GoldenTexts
    from shoestring.fitting.language.bench import Bench, Written

METRIC = "kl"
CACHE_TYPE = "f16"

Array = np.ndarray[Any, np.dtype[np.float32]]


def make_evidence(
    bench: Bench, blocks: Sequence[BlockTrace], sensitivity: tuple[Sensitivity, ...], measurement: str
) -> Evidence:
    """Everything the certificates rest on.

    Args:
        bench: texts and machine.
        blocks: the original's traces and the candidates'.
        sensitivity: of the tensors, worst first.
        measurement: how costs came about.
    """
    packages = ("scipy", "xllamacpp")
    return Evidence(
        metric=METRIC,
        splits=tuple(Split(one.split, one.documents, None) for one in bench.blocks),
        traces=(),
        sensitivity=sensitivity,
        machine=bench.machine,
        versions={
            "shoestring": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            **{name: importlib.metadata.version(name) for name in packages},
        },
        measurement=measurement,
        seed=bench.seed,
        blocks=tuple(blocks),
    )


def assemble(
    bench: Bench,
    ladder: Ladder,
    evidence: Evidence,
    made: Mapping[str, Written],
    golden: GoldenTexts,
    outputs: Mapping[str, Array],
    tolerance: Mapping[str, float],
    budget: Budget,
    speculation: dict[str, str],
    notes: tuple[str, ...],
) -> Fitted:
    """Everything that a bundle of this ladder holds.

    Args:
        bench: model, texts, machine.
        ladder: certified.
        evidence: that it rests on.
        made: files by candidate name.
        golden: prompts and tokens.
        outputs: of each rung, (prompts, tokens).
        tolerance: of each rung, nats.
        budget: as asked.
        speculation: of rungs that are faster with it.
        notes: for the user.
    """
    blobs: dict[str, bytes | Path] = {made[rung.name].sha256: made[rung.name].path for rung in ladder.rungs}
    stored = {name: npy_bytes(values) for name, values in outputs.items()}
    for data in (encode(evidence), encode(golden), *stored.values()):
        blobs[sha256_hex(data)] = data
    net = bench.source.transformer
    manifest = Manifest(
        format=FORMAT,
        name=bench.source.name,
        created_by=f"shoestring {__version__}",
        source_sha256=bench.source.sha256,
        input=TensorSpec("tokens", "int32", (1, None)),
        output=TensorSpec("log-probabilities", "float32", (None, net.vocabulary)),
        preprocess=None,
        labels=(),
        budget=budget,
        ladder=ladder,
        golden=Golden(
            inputs=sha256_hex(encode(golden)),
            outputs={name: sha256_hex(data) for name, data in stored.items()},
            tolerance=dict(tolerance),
        ),
        evidence=sha256_hex(encode(evidence)),
        blobs=tuple(Blob(name, _size(blobs[name])) for name in sorted(blobs)),
        generation=Generation(
            transformer=net,
            context=bench.context,
            cache_type=CACHE_TYPE,
            chat=bench.source.chat,
            prefill_threads={rung.name: prefill_threads(rung.candidate.cost, rung.threads) for rung in ladder.rungs},
            speculation=speculation,
        ),
    )
    manifest, blobs = with_bom(manifest, evidence, blobs)
    return Fitted(manifest, evidence, blobs, notes)


def prefill_threads(cost: Any, threads: int) -> int:
    """The count that reads fastest; the writing one where nothing tells."""
    if cost.tokens is None:
        return threads
    return int(max(cost.tokens.rates, key=lambda rate: (rate.prefill_per_s, -rate.threads)).threads)


def npy_bytes(array: Array) -> bytes:
    """The array as an .npy file."""
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _size(blob: bytes | Path) -> int:
    return len(blob) if isinstance(blob, bytes) else blob.stat().st_size
