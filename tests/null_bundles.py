"""Bundles whose rungs run on the null runtime: whole and provable, and their engines fail on demand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from factory import BundleParts, make_bundle_parts, make_images, npy_bytes
from shoestring.base import canonical
from shoestring.bundle import pack
from shoestring.domain.manifest import Blob, Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess
from shoestring.runtimes.null import NullRuntime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNGS = ("int8", "int8-float3", "fp32")
"""From cheap to dear, as `factory` makes them. On the null runtime they are called `int8@null` and so on."""
GOLDEN = 8


def name_of(kind: str) -> str:
    return f"{kind}@null"


CHEAP, MIDDLE, DEAR = map(name_of, RUNGS)


def make_null_bundle(
    path: Path,
    faults: Mapping[str, Mapping[str, object]] | None = None,
    *,
    size: int = 8,
    wrong: tuple[str, ...] = (),
    busy_us: int = 0,
) -> Manifest:
    """Write a bundle of three rungs whose models take their pixels as they are.

    Args:
        path: of the file.
        faults: keys of the null model of a rung; every model is `poison` beside them.
        size: height and width, pixels.
        wrong: rungs whose golden outputs are not what their model answers.
        busy_us: of every run.
    """
    parts = make_bundle_parts()
    spec = Preprocess(size, size, scale=1.0, layout="nhwc", dtype="uint8")
    images = make_images(GOLDEN, size=size)
    takes, answers = TensorSpec("input", "uint8", (None, size, size, 3)), TensorSpec("logits", "float32", (None, 4))
    models, outputs = {}, {}
    for place, kind in enumerate(RUNGS):
        plain = {"inputs": [_plain(takes)], "outputs": [_plain(answers)], "poison": True}
        healthy = json.dumps({**plain, "busy_us": place}).encode()
        with NullRuntime().load(healthy, 1) as session:
            rows = [session.run({"input": images[i : i + 1]})["logits"] for i in range(GOLDEN)]
        outputs[name_of(kind)] = np.concatenate(rows) + np.float32(name_of(kind) in wrong)
        more = (faults or {}).get(name_of(kind), {})
        models[name_of(kind)] = json.dumps({**plain, "busy_us": busy_us + place, **more}).encode()
    manifest, blobs = _manifest(parts, models, outputs, images, spec)
    pack(path, replace(manifest, input=takes, output=answers), blobs)
    return replace(manifest, input=takes, output=answers)


def _manifest(
    parts: BundleParts,
    models: Mapping[str, bytes],
    outputs: Mapping[str, np.ndarray],
    images: np.ndarray,
    spec: Preprocess,
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest of `parts` with these models in the place of its own, and every file."""
    renamed = canonical.encode(parts.evidence).decode()
    for kind in RUNGS:
        renamed = renamed.replace(f'"{kind}"', f'"{name_of(kind)}"')
    files = [renamed.encode(), npy_bytes(images), *models.values(), *map(npy_bytes, outputs.values())]
    blobs = {canonical.sha256_hex(data): data for data in files}
    rungs = []
    for rung in parts.manifest.ladder.rungs:
        model = models[name_of(rung.name)]
        sha256 = canonical.sha256_hex(model)
        cost = replace(rung.candidate.cost, size_bytes=len(model))
        candidate = replace(rung.candidate, runtime="null", runtime_version="1", artefact_sha256=sha256, cost=cost)
        given = rung.certificate
        mended = given and replace(given, artefact_sha256=sha256, runtime="null", runtime_version="1")
        rungs.append(replace(rung, candidate=candidate, certificate=mended))
    ladder = replace(parts.manifest.ladder, rungs=tuple(rungs), chosen=name_of(parts.manifest.ladder.chosen))
    golden = replace(
        parts.manifest.golden,
        inputs=canonical.sha256_hex(npy_bytes(images)),
        outputs={name: canonical.sha256_hex(npy_bytes(rows)) for name, rows in outputs.items()},
        tolerance=dict.fromkeys(outputs, 1e-3),
    )
    manifest = replace(
        parts.manifest,
        ladder=ladder,
        golden=golden,
        preprocess=spec,
        evidence=canonical.sha256_hex(renamed.encode()),
        blobs=tuple(Blob(sha256, len(blobs[sha256])) for sha256 in sorted(blobs)),
    )
    return manifest, blobs


def _plain(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
