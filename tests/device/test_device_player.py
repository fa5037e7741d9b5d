"""The player: loads a rung, replays the golden set first, answers images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory import (
    FEW_LABELS,
    BundleParts,
    make_bundle_parts,
    make_images,
    make_onnx,
    make_preprocess,
    make_score,
    npy_bytes,
    run_onnx,
    swap_blob,
)
from shoestring.base.errors import (
    BudgetError,
    BundleError,
    DataError,
    EngineError,
    GoldenError,
    ShoestringError,
    UsageError,
)
from shoestring.bundle import Bundle, open_bundle, pack
from shoestring.device import Answer, Player
from shoestring.device import golden as golden_module
from shoestring.domain.manifest import Manifest
from shoestring.domain.model import TensorSpec
from shoestring.domain.score import Paired

PARTS = make_bundle_parts()
Opener = Callable[..., Bundle]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Packs and opens a bundle; PARTS by default."""

    def open_one(manifest: Manifest = PARTS.manifest, blobs: Mapping[str, bytes] = PARTS.blobs) -> Bundle:
        pack(tmp_path / "a.shoe", manifest, blobs)
        return open_bundle(tmp_path / "a.shoe")

    return open_one


class FakeSession:
    """Answers golden input after golden input with stored rows."""

    inputs = (TensorSpec("input", "float32", (None, 3, 8, 8)),)
    outputs = (TensorSpec("logits", "float32", (None, 4)),)

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.calls, self.closed = rows, 0, False

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        row = self.rows[self.calls % len(self.rows)]
        self.calls += 1
        return {"logits": row[np.newaxis]}

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class FakeRuntime:
    """A stand-in engine."""

    name = "fake"

    def __init__(self, rows: np.ndarray) -> None:
        self.session, self.loaded = FakeSession(rows), (b"", 0)

    def version(self) -> str:
        return "0.1"

    def load(self, model: Path | bytes, threads: int) -> FakeSession:
        assert isinstance(model, bytes)
        self.loaded = (model, threads)
        return self.session


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_every_rung_answers_as_the_engine_alone(opened: Opener, batch: int | None) -> None:
    parts = make_bundle_parts() if batch is None else _fixed(batch)
    images = make_images(6, seed=99)
    for name, model in PARTS.models.items():  # free batch: the same function
        logits = run_onnx(model, images, make_preprocess(8))
        with opened(parts.manifest, parts.blobs) as bundle, Player(bundle, rung=name) as player:
            assert (player.rung.name, player.threads, player.replayed) == (name, 1, 8)
            answers = list(player.classify(images))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
        for answer, row in zip(answers, scores, strict=True):
            order = np.argsort(-row)
            assert [index for index, _, _ in answer.top] == order.tolist()
            assert [label for _, label, _ in answer.top] == [FEW_LABELS[i] for i in order]
            np.testing.assert_allclose([score for _, _, score in answer.top], row[order], atol=1e-5)
            assert (answer.index, answer.label, answer.score) == answer.top[0]


def _fixed(batch: int) -> BundleParts:
    """PARTS with models of a fixed batch."""
    parts = PARTS
    for name, levels in (("int8", 127), ("int8-float3", 1023), ("fp32", None)):
        model = make_onnx(0, batch=batch, levels=levels)
        manifest, blobs = swap_blob(parts, parts.manifest.ladder.rung(name).candidate.artefact_sha256, model)
        parts = replace(parts, manifest=manifest, blobs=blobs)
    return parts


def test_the_bundle_may_be_closed_once_the_player_is_made(opened: Opener) -> None:
    with opened() as bundle:
        player = Player(bundle)
    with player:
        assert isinstance(next(player.classify(PARTS.golden_images)), Answer)
    player.close()
    with pytest.raises(EngineError, match="closed"):
        next(player.classify(PARTS.golden_images))


def test_images_are_taken_as_they_come(opened: Opener) -> None:
    def endless():
        while True:
            yield PARTS.golden_images[0]

    with opened() as bundle, Player(bundle) as player:
        answers = player.classify(endless())
        assert next(answers) == next(answers)


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 3), np.float32), np.zeros((9, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), "photo.jpg"]
)
def test_other_than_prepared_pixels_are_refused(opened: Opener, image: Any) -> None:
    with opened() as bundle, Player(bundle) as player, pytest.raises(DataError):
        next(player.classify([image]))


def test_classes_without_a_name_are_numbered(opened: Opener) -> None:
    with opened(replace(PARTS.manifest, labels=("cat",))) as bundle, Player(bundle) as player:
        answer = next(player.classify(PARTS.golden_images[1:]))
        assert {label for _, label, _ in answer.top} == {"cat", "1", "2", "3"}


def test_probabilities_are_not_softened_twice(opened: Opener) -> None:
    rows = np.array([[0.7, 0.1, 0.1, 0.1]] * 8, np.float32)
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.golden.outputs["int8"], npy_bytes(rows))
    with opened(manifest, blobs) as bundle, Player(bundle, runtime=FakeRuntime(rows)) as player:
        assert next(player.classify(PARTS.golden_images)).score == pytest.approx(0.7)


def test_the_runtime_gets_the_verified_model_and_the_thread_count(opened: Opener) -> None:
    runtime = FakeRuntime(PARTS.golden_outputs["int8"])
    with opened() as bundle, Player(bundle, threads=3, runtime=runtime) as player:
        assert player.threads == 3
    assert runtime.loaded == (PARTS.models["int8"], 3)
    assert runtime.session.closed


# --- the golden set ------------------------------------------------------------------------------------------------


def _refused(opened: Opener, rows: np.ndarray, words: str) -> str:
    runtime = FakeRuntime(rows)
    with opened() as bundle, pytest.raises(GoldenError, match=words) as caught:
        Player(bundle, runtime=runtime)
    assert runtime.session.closed  # a refused rung leaves no engine behind
    return caught.value.message


def test_an_output_that_is_off_is_found_and_told(opened: Opener) -> None:
    rows = PARTS.golden_outputs["int8"].copy()
    rows[4, 2] += 0.5
    rows[6, 0] += 0.01
    message = _refused(opened, rows, r"on 2 of 8 golden inputs; worst: input 5 is off by 0.5, the tolerance is 0.001")
    certificate = PARTS.manifest.ladder.rungs[0].certificate
    assert certificate is not None
    assert f"onnxruntime {certificate.runtime_version} with {', '.join(certificate.isa)}" in message
    assert "here fake 0.1 with" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_no_number_is_found(opened: Opener, value: float) -> None:
    rows = PARTS.golden_outputs["int8"].copy()
    rows[0, 1] = value
    _refused(opened, rows, "on 1 of 8 golden inputs; worst: input 1 is off by")


def test_another_best_class_is_found_within_the_tolerance(opened: Opener) -> None:
    rows = np.zeros((8, 4), np.float32)
    rows[:, 1] = 0.0004
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.golden.outputs["int8"], npy_bytes(rows))
    other = rows[:, ::-1].copy()
    with opened(manifest, blobs) as bundle, pytest.raises(GoldenError, match="input 1 gives class 2, expected 1"):
        Player(bundle, runtime=FakeRuntime(other))


def test_another_number_of_classes_is_found(opened: Opener) -> None:
    _refused(opened, PARTS.golden_outputs["int8"][:, :3], r"gives shape \(3,\), expected \(4,\)")


@pytest.mark.parametrize("rung", ["int8", "fp32"])
def test_a_tampered_model_with_mended_hashes_is_found(opened: Opener, rung: str) -> None:
    artefact = PARTS.manifest.ladder.rung(rung).candidate.artefact_sha256
    manifest, blobs = swap_blob(PARTS, artefact, make_onnx(seed=1))
    with opened(manifest, blobs) as bundle, pytest.raises(GoldenError, match=f"rung '{rung}' answers otherwise"):
        Player(bundle, rung=rung)


def test_tampered_outputs_with_mended_hashes_are_found(opened: Opener) -> None:
    rows = PARTS.golden_outputs["int8"][::-1].copy()
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.golden.outputs["int8"], npy_bytes(rows))
    with opened(manifest, blobs) as bundle, pytest.raises(GoldenError):
        Player(bundle)


def test_a_replay_that_compares_with_greater_than_would_let_nan_pass(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saboteur: `distance > tolerance` is false for NaN, so the runtime that answers NaN would be trusted."""

    def sloppy(
        bundle: Bundle, rung: Any, infer: Callable[..., np.ndarray], here: Any, inputs: Any, expected: Any
    ) -> None:
        for image, want in zip(inputs, expected, strict=True):
            if np.max(np.abs(infer(image) - want)) > bundle.manifest.golden.tolerance[rung.name]:
                raise GoldenError("off")

    rows = np.full((8, 4), np.nan, np.float32)
    _refused(opened, rows, "on 8 of 8")
    monkeypatch.setattr(sys.modules["shoestring.device.loading"], "replay", sloppy)
    with opened() as bundle, Player(bundle, runtime=FakeRuntime(rows)) as player:
        assert player.replayed == 8


def test_without_proc_the_mismatch_is_still_told(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_machine() -> None:
        raise golden_module.StorageError("cannot read /proc/cpuinfo")

    monkeypatch.setattr("shoestring.chips.host.this_machine", no_machine)
    message = _refused(opened, np.zeros((8, 4), np.float32), "answers otherwise")
    assert "here fake 0.1 with unknown instruction sets" in message


@pytest.mark.parametrize(
    ("which", "array"),
    [
        ("inputs", np.zeros((8, 8, 8, 3), np.float32)),
        ("inputs", np.zeros((8, 4, 8, 3), np.uint8)),
        ("inputs", np.zeros((0, 8, 8, 3), np.uint8)),
        ("inputs", np.zeros((33, 8, 8, 3), np.uint8)),
        ("inputs", np.zeros((7, 8, 8, 3), np.uint8)),
        ("outputs", np.zeros((8, 5), np.float32)),
        ("outputs", np.zeros((8, 4), np.float64)),
        ("outputs", np.zeros(8, np.float32)),
    ],
)
def test_a_golden_set_that_does_not_fit_the_manifest_is_refused(opened: Opener, which: str, array: np.ndarray) -> None:
    golden = PARTS.manifest.golden
    old = golden.inputs if which == "inputs" else golden.outputs["int8"]
    manifest, blobs = swap_blob(PARTS, old, npy_bytes(array))
    with (
        opened(manifest, blobs) as bundle,
        pytest.raises(BundleError, match=f"golden {which}|golden outputs|outputs of"),
    ):
        Player(bundle)


@pytest.mark.parametrize(("field", "name"), [("input", "pixels"), ("output", "probabilities")])
def test_a_model_with_other_names_than_the_manifest_says_is_refused(opened: Opener, field: str, name: str) -> None:
    spec = replace(getattr(PARTS.manifest, field), name=name)
    with opened(replace(PARTS.manifest, **{field: spec})) as bundle, pytest.raises(BundleError, match=name):
        Player(bundle)


def test_an_unknown_runtime_and_a_broken_model_are_told(opened: Opener) -> None:
    rung = PARTS.manifest.ladder.rungs[2]  # the reference: no certificate binds it to a runtime
    candidate = replace(rung.candidate, runtime="abacus")
    ladder = replace(
        PARTS.manifest.ladder, rungs=(*PARTS.manifest.ladder.rungs[:2], replace(rung, candidate=candidate))
    )
    old = PARTS.manifest.golden

    def renamed(items: Mapping[str, Any]) -> dict[str, Any]:
        return {"fp32@abacus" if name == "fp32" else name: item for name, item in items.items()}

    golden = replace(old, outputs=renamed(old.outputs), tolerance=renamed(old.tolerance))
    with (
        opened(replace(PARTS.manifest, ladder=ladder, golden=golden)) as bundle,
        pytest.raises(UsageError, match="abacus"),
    ):
        Player(bundle, rung="fp32@abacus")
    manifest, blobs = swap_blob(PARTS, rung.candidate.artefact_sha256, b"not a model")
    with opened(manifest, blobs) as bundle, pytest.raises(EngineError):
        Player(bundle, rung="fp32")


# --- the choice of a rung ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "wanted"), [(None, "int8"), ("int8-float3", "int8-float3"), ("fp32", "fp32")])
def test_the_rung_is_the_named_or_the_chosen_one(opened: Opener, name: str | None, wanted: str) -> None:
    with opened() as bundle, Player(bundle, rung=name) as player:
        assert player.rung.name == wanted


def _graded() -> Manifest:
    """PARTS with selection scores that rise from int8 over int8-float3 to fp32."""
    rungs = []
    for hits, rung in zip((25, 27, 28), PARTS.manifest.ladder.rungs, strict=True):
        score = make_score(Paired(n=30, original_hits=28, variant_hits=hits, wins=0, losses=28 - hits), "top-1")
        rungs.append(replace(rung, candidate=replace(rung.candidate, scores=(score,))))
    return replace(PARTS.manifest, ladder=replace(PARTS.manifest.ladder, rungs=tuple(rungs)))


@pytest.mark.parametrize(
    ("latency_ms", "threads", "wanted"),
    [
        (100.0, None, "fp32"),
        (float("inf"), None, "fp32"),
        (2.0, None, "int8-float3"),
        (1.596, None, "int8"),
        (1.0, 4, "int8-float3"),
        (0.7, 4, "int8"),
    ],
)
def test_the_most_accurate_rung_within_a_latency_is_taken(
    opened: Opener, latency_ms: float, threads: int | None, wanted: str
) -> None:
    with opened(_graded()) as bundle, Player(bundle, latency_ms=latency_ms, threads=threads) as player:
        assert (player.rung.name, player.threads) == (wanted, threads or 1)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"rung": "int9"}, UsageError, "the rungs are: int8, int8-float3, fp32"),
        ({"rung": "int8", "latency_ms": 5.0}, UsageError, "give one of them"),
        ({"latency_ms": 0.0}, UsageError, "not above zero"),
        ({"latency_ms": float("nan")}, UsageError, "not above zero"),
        ({"latency_ms": 5.0, "threads": 3}, UsageError, "measured were: 1, 4"),
        ({"latency_ms": 0.01}, BudgetError, r"to be had: int8 1\.6 ms, int8-float3 1\.97 ms, fp32"),
        ({"threads": 0}, UsageError, "below 1"),
    ],
)
def test_a_choice_that_cannot_be_made_says_what_there_is(
    opened: Opener, arguments: dict[str, Any], kind: type[ShoestringError], words: str
) -> None:
    with opened() as bundle, pytest.raises(kind, match=words):
        Player(bundle, **arguments)


# --- lightness -----------------------------------------------------------------------------------------------------


def test_the_device_side_imports_nothing_heavy() -> None:
    check = (
        "import sys, shoestring.device, shoestring.bundle; "
        "print([name for name in ('torch', 'onnx', 'scipy', 'onnxruntime', 'optuna', 'jinja2') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
