"""The inside of the quarantine: the only code that parses a model somebody else made."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.importers import constants, external, functions, interface, operators, opset, tidy
from shoestring.importers.claims import check_claims, check_node_count, check_texts
from shoestring.importers.draft import Draft, check_opset
from shoestring.importers.fuse import fuse_batch_norms
from shoestring.importers.infer import first_line, infer
from shoestring.importers.require import DecodeError, EncodeError, checker, onnx
from shoestring.importers.simplify import remove_noops


def normalise(request: dict[str, Any]) -> dict[str, Any]:
    """Read `source`, write the normalised model to `target`, and answer what `importing` makes a Model of.

    Args:
        request: `source` and `target` (paths), `batch_free`, `shapes`; see `import_model`.

    Raises:
        ModelError: the file is not a sound ONNX model, or one that we cannot handle.
        UsageError: the shapes do not fit.
        StorageError: `target` cannot be written.
    """
    model, notes, sha256 = _read(Path(request["source"]))
    draft = Draft.of(model)
    draft.notes.extend(notes)
    interface.settle_inputs(draft, request["shapes"], batch_free=request["batch_free"])
    _check_source(draft)
    _rewrite(draft)
    disk.fill(Path(request["target"]), _serialise(draft))
    return {
        "source_sha256": sha256,
        "opset": draft.opset,
        "inputs": [interface.spec(value) for value in draft.inputs],
        "outputs": [interface.spec(value) for value in draft.outputs],
        "notes": draft.notes,
    }


def _read(source: Path) -> tuple[Any, list[str], str]:
    """Parse, hold every claim to its data, and pull in what stands outside the file."""
    with source.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        data = stream.read(min(size, MAX_MODEL_BYTES))  # reading allocates what is asked for, not what is there
    if size > MAX_MODEL_BYTES:
        raise ModelError(f"the file grew beyond the limit of {format_bytes(MAX_MODEL_BYTES)}", hint="run it again")
    digest = hashlib.sha256(data)
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelError(
            f"{source} ({size} bytes) is truncated, or not an ONNX file", hint="export or download it again"
        ) from error
    del data
    if not model.HasField("graph"):
        raise ModelError(
            f"{source} ({size} bytes) holds no graph: truncated, or not an ONNX file",
            hint="export or download it again",
        )
    check_node_count(model)
    check_texts(model)
    check_opset(model)
    check_claims(model)
    notes = []
    files = external.embed(model, source.parent, digest)
    if files:
        notes.append(f"embedded external data from {', '.join(files)}")
    if model.training_info:
        notes.append("dropped the training graph")
    model, note = functions.inline(model)
    operators.check_operators(model)
    return model, notes + ([note] if note else []), digest.hexdigest()


def _check_source(draft: Draft) -> None:
    """ONNX's own checker, before any pass relies on its rules. Outputs may lack a shape here: inference finds it."""
    skeleton = draft.skeleton()
    for value in skeleton.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    _check(skeleton.SerializeToString(), "the model breaks the rules of ONNX")


def _rewrite(draft: Draft) -> None:
    declared = {value.name: value.type for value in draft.outputs}
    tidy.drop_words(draft)  # stale shapes inside bodies would mislead inference
    constants.lift_constants(draft)
    remove_noops(draft)
    infer(draft)  # conversion asks for shapes
    opset.raise_opset(draft)
    constants.lift_constants(draft)  # conversion turns attributes into Constant nodes
    constants.fold(draft)
    fuse_batch_norms(draft)
    tidy.prune(draft)
    tidy.name_nodes(draft)
    tidy.drop_words(draft)  # conversion adds some of its own
    infer(draft)
    interface.settle_outputs(draft, declared)
    note = operators.quantized_note(draft.nodes)
    if note is not None:
        draft.notes.append(note)


def _serialise(draft: Draft) -> bytes:
    try:
        data: bytes = draft.model().SerializeToString(deterministic=True)
    except EncodeError as error:
        raise ModelError(f"the normalised model is larger than protobuf can hold: {first_line(error)}") from error
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(
            f"the normalised model has {format_bytes(len(data))}, more than the limit of "
            f"{format_bytes(MAX_MODEL_BYTES)}"
        )
    _check(data, "the normalised model breaks the rules of ONNX")
    return data


def _check(data: bytes, what: str) -> None:
    try:
        checker.check_model(data)
    except (checker.ValidationError, RuntimeError, ValueError) as error:  # its own words may not be UTF-8
        raise ModelError(f"{what}: {first_line(error)}", hint="try another exporter or opset") from error
