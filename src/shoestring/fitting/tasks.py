"""What workers run: pure functions of plain arguments and files, called by name (see `engines.protocol.Task`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from shoestring.base import canonical
from shoestring.base.errors import ChildError
from shoestring.compress.graph import Graph
from shoestring.compress.observe import Range
from shoestring.compress.scheme import Scheme
from shoestring.compress.sensitivity import Probing
from shoestring.domain.head import Head
from shoestring.fitting.scoring import Feeding
from shoestring.fitting.stamp import check_stamp
from shoestring.runtimes import registry

THREADS = 1
"""Of a task: the other cores have tasks of their own. Answers do not depend on it."""


def score(arguments: dict[str, Any], blobs: dict[str, Path]) -> bytes:
    """Best classes of images, or what a detector sees in them.

    Args:
        arguments: `stamp`, `runtime`, `feeding` (see `scoring.Feeding`).
        blobs: `model`, the model file; `pixels`, an .npy of uint8 (n, height, width, channels).

    Returns:
        JSON: for each image its best classes, or its `sights.Sight`.
    """
    check_stamp(arguments["stamp"])
    feeding = canonical.convert(arguments["feeding"], Feeding, ChildError)
    pixels = np.load(blobs["pixels"], allow_pickle=False)
    with registry.get(arguments["runtime"]).load(blobs["model"], THREADS) as session:
        return canonical.encode(feeding.answer(session, pixels))


def probe(arguments: dict[str, Any], blobs: dict[str, Path]) -> bytes:
    """The sensitivity of one layer.

    Args:
        arguments: `stamp`, `layer`, `ranges`, `scheme`, `head`.
        blobs: `graph`, ONNX; `examples`, an .npz as `spread` writes it.
    """
    check_stamp(arguments["stamp"])
    head = arguments["head"]
    with np.load(blobs["examples"], allow_pickle=False) as arrays:
        inputs, layers, count, outputs = json.loads(arrays["names"].tobytes())
        batches = [
            {name: arrays[f"batch-{place}-{number}"] for number, name in enumerate(inputs)} for place in range(count)
        ]
        wanted = {name: arrays[f"wanted-{number}"] for number, name in enumerate(layers)}
        reference = tuple(arrays[f"reference-{number}"] for number in range(outputs))
    probing = Probing(
        graph=Graph.load(blobs["graph"]),
        ranges=canonical.convert(arguments["ranges"], dict[str, Range], ChildError),
        scheme=canonical.convert(arguments["scheme"], Scheme, ChildError),
        batches=batches,
        threads=THREADS,
        wanted=wanted,
        reference=reference,
        head=None if head is None else canonical.convert(head, Head, ChildError),
    )
    return canonical.encode(probing.layer(arguments["layer"]))
