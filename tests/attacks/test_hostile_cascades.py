"""Cascades and students that are not what they claim: whatever is written there, only our own errors come out."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from factory import make_bundle_parts
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.errors import BundleError, ShoestringError
from shoestring.bundle.cascade_recheck import check_cascade_counts
from shoestring.bundle.rules import check_manifest
from shoestring.domain.cascade import RUNTIME, Cascade, Stage, identity, mean_ms
from shoestring.domain.manifest import Manifest, Student

PARTS = make_bundle_parts()
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 10**18 - 1, 0.0, -0.0, 0.5, 1e308, "", "x", "int8", "fp32", "\x1b[2J"),
    *("0" * 64, "a:b", "a" * 5_000, [], {}, [0], {"a": 1}),
)


def good() -> Manifest:
    """The factory's manifest with a sound cascade and a sound student."""
    manifest = PARTS.manifest
    rungs = manifest.ladder.rungs
    n = rungs[-1].candidate.score.paired.n
    given = rungs[0].certificate
    assert given is not None
    stages = tuple(
        Stage(
            rung.name,
            rung.candidate.artefact_sha256,
            1,
            threshold,
            False,
            rung.candidate.cost.at(1).median_ms,
            0.0,
            *counts,
        )
        for rung, threshold, counts in zip(
            rungs, (700, 300, None), ((n - 2, given.paired.n - 2), (1, 1), (1, 1)), strict=True
        )
    )
    certificate = replace(given, runtime=RUNTIME, artefact_sha256=identity("margin", stages))
    cascade = Cascade("margin", stages, mean_ms(stages, tuple(stage.answered for stage in stages)), certificate)
    student = Student("small", "0" * 64, manifest.input, manifest.output, manifest.preprocess)
    return replace(manifest, ladder=replace(manifest.ladder, cascade=cascade), students=(student,))


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys, the inner ones too."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def test_the_good_manifest_is_accepted() -> None:
    check_manifest(good())


def test_odd_cascades_and_students_raise_only_our_errors() -> None:
    rng, text, accepted = random.Random(4), canonical.encode(good()), 0
    for _ in range(1_500 * SCALE):
        plain = json.loads(text)
        for _ in range(rng.randint(1, 2)):
            inside = [plain["ladder"]["cascade"], plain["students"]]
            spots = [(plain["ladder"], "cascade"), (plain, "students")]
            spots += [spot for part in inside if isinstance(part, dict | list) for spot in places(part)]
            node, key = rng.choice(spots)
            node[key] = copy.deepcopy(rng.choice(ODD))
        try:
            manifest = canonical.decode(canonical.encode(plain), Manifest, BundleError)
            check_manifest(manifest)
        except BundleError as error:
            assert len(error.message) < 1_000
            continue
        accepted += 1
        assert manifest.ladder.runnable
        cascade = manifest.ladder.cascade
        if cascade is not None:
            assert sum(cascade.shares) + sum(cascade.shares_certification) > 0 and cascade.observed_ms > 0
            try:
                check_cascade_counts(PARTS.evidence, cascade)
            except ShoestringError:
                continue
    print(f"{accepted} of {1_500 * SCALE} were sound manifests of another content")
    assert accepted > 10
