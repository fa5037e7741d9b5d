"""What a manifest must keep beyond its types. Each rule raises BundleError with the value and the limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoestring.base.limits import (
    MAX_BLOBS,
    MAX_BOM_BYTES,
    MAX_EVIDENCE_BYTES,
    MAX_EXPANSION,
    MAX_LABEL_NAMES,
    MAX_UNPACKED_BYTES,
)
from shoestring.bundle.cascade_rules import check_cascade, check_students
from shoestring.bundle.detection_rules import check_detector, check_head
from shoestring.bundle.ladder_rules import check_ladder
from shoestring.bundle.layout import MAX_TOTAL_BYTES
from shoestring.bundle.refusal import refuse
from shoestring.bundle.stored import ENCODINGS, MIN_GAIN, pays
from shoestring.bundle.text_rules import check_text
from shoestring.domain.manifest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.base.errors import BundleError
    from shoestring.domain.budget import Budget
    from shoestring.domain.manifest import Blob, Manifest
    from shoestring.domain.model import TensorSpec
    from shoestring.domain.preprocess import Preprocess

_HASH = re.compile(r"[0-9a-f]{64}")
MAX_DIMENSIONS = 8  # ONNX tensors of classifiers have 2 to 5


def check_manifest(manifest: Manifest) -> None:
    """Hold a manifest against every rule of the format.

    Raises:
        BundleError: the first rule that is broken.
    """
    if manifest.format != FORMAT:
        raise refuse_format(manifest.format)
    _check_blobs(manifest.blobs)
    _check_names(manifest)
    if manifest.preprocess is None:
        check_text(manifest)
        check_tensor("input", manifest.input)
    else:
        _check_images(manifest, manifest.preprocess)
    _check_output(manifest)
    _check_budget(manifest.budget)
    check_ladder(manifest.ladder, writes=manifest.generation is not None)
    if manifest.preprocess is not None:
        check_students(manifest, manifest.preprocess)
    check_cascade(manifest.ladder)
    if manifest.preprocess is not None:
        check_detector(manifest)
    _check_references(manifest)


def _check_images(manifest: Manifest, preprocess: Preprocess) -> None:
    problems = preprocess.problems()
    if problems:
        raise refuse(f"preprocess: {'; '.join(problems)}")
    if manifest.text is not None or manifest.generation is not None:
        raise refuse("it has the pre-processing of images, and what only a bundle for text has")
    _check_input(manifest.input, preprocess)
    for student in manifest.students:
        _check_input(student.input, student.preprocess)


def refuse_format(number: int) -> BundleError:
    """The error about a bundle of another format."""
    error = refuse(f"its format is {number}, this version reads format {FORMAT}")
    if number < FORMAT:
        error.hint = "it is older than this version; make it again with shoestring fit, which keeps finished steps"
    return error


def is_hash(text: str) -> bool:
    """Whether `text` is 64 lower-case hexadecimal digits."""
    return _HASH.fullmatch(text) is not None


def _check_blobs(blobs: tuple[Blob, ...]) -> None:
    if len(blobs) > MAX_BLOBS:
        raise refuse(f"it lists {len(blobs)} blobs, the limit is {MAX_BLOBS}")
    before = ""
    for blob in blobs:
        if not is_hash(blob.sha256):
            raise refuse(f"the blob name {blob.sha256!r} is not 64 lower-case hexadecimal digits")
        if blob.sha256 <= before:
            raise refuse(f"blob {blob.sha256} is listed twice or out of order")
        if not 0 <= blob.size_bytes <= MAX_TOTAL_BYTES:
            raise refuse(f"blob {blob.sha256} has the size {blob.size_bytes}, outside 0 to {MAX_TOTAL_BYTES}")
        _check_stored(blob)
        before = blob.sha256
    total = sum(blob.size_bytes for blob in blobs)
    if total > MAX_UNPACKED_BYTES:
        raise refuse(f"its blobs expand to {total} bytes, the limit is {MAX_UNPACKED_BYTES}")


def _check_stored(blob: Blob) -> None:
    """The writer compresses only where it pays, so nothing else is a bundle."""
    stored = blob.stored
    if stored is None:
        return
    if stored.encoding not in ENCODINGS:
        raise refuse(f"blob {blob.sha256} is stored as {stored.encoding!r}, not one of {', '.join(ENCODINGS)}")
    if not is_hash(stored.sha256):
        raise refuse(f"the stored hash {stored.sha256!r} is not 64 lower-case hexadecimal digits")
    if stored.size_bytes < 1 or not pays(blob.size_bytes, stored.size_bytes):
        raise refuse(
            f"blob {blob.sha256} has {blob.size_bytes} bytes stored as {stored.size_bytes}; compressed forms take at "
            f"most {1 - MIN_GAIN:.0%} of the content and at least one part in {MAX_EXPANSION}"
        )


def _check_names(manifest: Manifest) -> None:
    for source in (manifest.source_sha256, *(student.source_sha256 for student in manifest.students)):
        if not is_hash(source):
            raise refuse(f"source_sha256 {source!r} is not 64 lower-case hexadecimal digits")
    if len(manifest.labels) > MAX_LABEL_NAMES:
        raise refuse(f"it has {len(manifest.labels)} class names, the limit is {MAX_LABEL_NAMES}")
    for what, texts in (("name", (manifest.name, manifest.created_by)), ("class name", manifest.labels)):
        for text in texts:
            # People read these on a terminal, where control characters are commands.
            if not text or any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
                raise refuse(f"the {what} {text!r} is empty or holds control characters")


def _check_input(spec: TensorSpec, preprocess: Preprocess) -> None:
    check_tensor("input", spec)
    if spec.dtype != preprocess.dtype:
        raise refuse(f"the input is {spec.dtype}, the pre-processing gives {preprocess.dtype}")
    size = (preprocess.height, preprocess.width)
    wanted = (preprocess.channels, *size) if preprocess.layout == "nchw" else (*size, preprocess.channels)
    fits = len(spec.shape) == 4 and all(
        got is None or got == want for got, want in zip(spec.shape[1:], wanted, strict=True)
    )
    if not fits:
        raise refuse(f"the input has shape {spec.shape}, the pre-processing gives {(None, *wanted)}")


def _check_output(manifest: Manifest) -> None:
    check_tensor("output", manifest.output)
    shape = manifest.output.shape
    classes = shape[-1] if len(shape) == 2 else None
    if len(shape) != 2:
        raise refuse(f"the output has shape {shape}, not (batch, classes)")
    head = manifest.head
    if head is not None:
        check_head(head, classes)
        classes = head.classes
    if classes is not None and len(manifest.labels) > classes:
        raise refuse(f"there are {len(manifest.labels)} class names for {classes} classes")


def check_tensor(what: str, spec: TensorSpec) -> None:
    """Raises BundleError for a shape that no model has."""
    if not 1 <= len(spec.shape) <= MAX_DIMENSIONS or any(length is not None and length < 1 for length in spec.shape):
        raise refuse(f"the {what} has the shape {spec.shape[: MAX_DIMENSIONS + 1]}")


def _check_budget(budget: Budget) -> None:
    if budget.max_drop is not None and not 0 <= budget.max_drop <= 1:
        raise refuse(f"the budget's max_drop is {budget.max_drop}, outside 0 to 1")
    if not 0 < budget.confidence < 1:
        raise refuse(f"the budget's confidence is {budget.confidence}, outside 0 to 1")
    limits = {
        "latency_ms": budget.latency_ms,
        "memory_bytes": budget.memory_bytes,
        "size_bytes": budget.size_bytes,
        "threads": budget.threads,
        "max_kl": budget.max_kl,
        "tokens_per_s": budget.tokens_per_s,
    }
    for name, value in limits.items():
        if value is not None and value <= 0:
            raise refuse(f"the budget's {name} is {value}, not above zero")


def _check_references(manifest: Manifest) -> None:
    """Every hash is a blob, every blob is named by something, golden set and ladder speak of the same rungs."""
    sizes = {blob.sha256: blob.size_bytes for blob in manifest.blobs}
    golden, rungs = manifest.golden, manifest.ladder.runnable
    wanted = {rung.name for rung in rungs}
    for what, keys in (("outputs", golden.outputs.keys()), ("tolerance", golden.tolerance.keys())):
        if keys != wanted:
            odd = sorted(keys ^ wanted)
            raise refuse(f"golden {what} and the rungs do not match: {', '.join(map(repr, odd[:5]))}")
    for name, tolerance in golden.tolerance.items():
        if tolerance < 0:
            raise refuse(f"the golden tolerance of {name!r} is {tolerance}, below zero")
    used = {"evidence": manifest.evidence, "golden inputs": golden.inputs}
    used |= {f"golden outputs of {name!r}": sha256 for name, sha256 in golden.outputs.items()}
    used |= {f"model of {rung.name!r}": rung.candidate.artefact_sha256 for rung in rungs}
    if manifest.bom is not None:
        used["bill of materials"] = manifest.bom
    if manifest.text is not None:
        used["tokenizer"] = manifest.text.tokenizer
    for what, sha256 in used.items():
        if sha256 not in sizes:
            raise refuse(f"the {what} is {sha256!r}, which is not among the blobs")
    spare = sorted(sizes.keys() - set(used.values()))
    if spare:
        raise refuse(f"blob {spare[0]} is named by nothing")
    if sizes[manifest.evidence] > MAX_EVIDENCE_BYTES:
        raise refuse(f"the evidence has {sizes[manifest.evidence]} bytes, the limit is {MAX_EVIDENCE_BYTES}")
    if manifest.bom is not None and sizes[manifest.bom] > MAX_BOM_BYTES:
        raise refuse(f"the bill of materials has {sizes[manifest.bom]} bytes, the limit is {MAX_BOM_BYTES}")
    _check_artefact_sizes(manifest, sizes)


def _check_artefact_sizes(manifest: Manifest, sizes: Mapping[str, int]) -> None:
    for rung in manifest.ladder.runnable:
        size = sizes[rung.candidate.artefact_sha256]
        if rung.candidate.cost.size_bytes != size:
            raise refuse(f"the model of {rung.name!r} has {size} bytes, its cost says {rung.candidate.cost.size_bytes}")
