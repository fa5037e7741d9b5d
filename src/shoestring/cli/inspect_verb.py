"""Say what a model costs by its graph alone, what a file of weights holds (GGUF, safetensors), or what a bundle holds
and whether its certificates can be recomputed."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.cli.options import add_quarantine, add_weights, options_of

if TYPE_CHECKING:
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.head import Head
    from shoestring.domain.manifest import Manifest

EXAMPLE = "shoestring inspect model.onnx --layers"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        type=Path,
        help="bundle, model in ONNX or another format (docs/importers.md), or file of weights (docs/importers-llm.md)",
    )
    add_weights(parser)
    add_quarantine(parser)
    parser.add_argument("--layers", action="store_true", help="one line a layer, or a tensor")
    parser.add_argument(
        "--header-only", action="store_true", help="a file of weights may be no more than its first megabytes"
    )


def run(arguments: argparse.Namespace) -> int:
    from shoestring.bundle import is_bundle

    if is_bundle(arguments.target):
        return _bundle(arguments)
    from shoestring.importers.weights import kind_of

    if kind_of(arguments.target) is None:
        return _model(arguments)
    from shoestring.cli.weights_text import show

    return show(arguments)


def _model(arguments: argparse.Namespace) -> int:
    from shoestring.analysis import operators, profile
    from shoestring.base.units import format_bytes, format_count
    from shoestring.cli import console
    from shoestring.importers import import_model

    with tempfile.TemporaryDirectory() as scratch:
        model = import_model(arguments.target, Path(scratch) / "model.onnx", **options_of(arguments))
        found = profile(model.path)
    figures: dict[str, Any] = {
        "macs": found.macs,
        "parameters": found.parameters,
        "weight_bytes": found.weight_bytes,
        "moved_bytes": found.moved_bytes,
        "peak_activation_bytes": found.peak_activation_bytes,
        "intensity_macs_per_byte": found.intensity,
    }
    if arguments.json:
        console.show_json(
            {
                "name": model.source_name,
                "opset": model.opset,
                "inputs": model.inputs,
                "outputs": model.outputs,
                "notes": model.notes,
                **figures,
                "operators": dict(operators(found)),
                "layers": found.layers,
            }
        )
        return 0
    for kind, specs in (("input", model.inputs), ("output", model.outputs)):
        for spec in specs:
            shape = " x ".join("?" if size is None else str(size) for size in spec.shape)
            print(console.clean(f"{kind:<22}{spec.name}: {spec.dtype} {shape}"))
    print(console.clean(f"{'operators':<22}{', '.join(f'{count} {name}' for name, count in operators(found))}"))
    print(f"{'MACs':<22}{format_count(found.macs)} for one example")
    print(f"{'parameters':<22}{format_count(found.parameters)} ({format_bytes(found.weight_bytes)})")
    print(f"{'bytes moved':<22}{format_bytes(found.moved_bytes)}, each tensor once a layer")
    print(f"{'peak activations':<22}{format_bytes(found.peak_activation_bytes)}")
    print(f"{'intensity':<22}{found.intensity:.3g} MACs a byte")
    for note in model.notes:
        console.say(note)
    if arguments.layers:
        _show_layers(found)
    return 0


def _show_layers(found: Any) -> None:
    from shoestring.base.units import format_bytes, format_count
    from shoestring.cli.console import show_table

    rows = [
        (
            layer.name,
            layer.operator,
            "x".join(map(str, layer.output_shape)),
            format_count(layer.macs),
            format_count(layer.parameters),
            format_bytes(layer.read_bytes + layer.written_bytes),
        )
        for layer in found.layers
    ]
    show_table(("layer", "operator", "output", "MACs", "parameters", "activations"), rows, right=frozenset({3, 4, 5}))


def _bundle(arguments: argparse.Namespace) -> int:
    from shoestring.bundle import open_bundle
    from shoestring.bundle.proof_rules import checked as counts_of
    from shoestring.bundle.sizes import sizes
    from shoestring.cli import console
    from shoestring.cli.proofs import checked_words
    from shoestring.cli.tables import show_candidates, show_cascade, show_detections, show_sizes
    from shoestring.cli.trust_options import unchecked
    from shoestring.fitting.outcome import ladder_rows
    from shoestring.fitting.recheck import recheck

    with open_bundle(arguments.target) as bundle:
        manifest, evidence = bundle.manifest, bundle.evidence()
        checked = recheck(manifest, evidence)
        sha256, signed, signatures = bundle.sha256, unchecked(bundle), bundle.signatures
    proofs = [(proof, counts_of(evidence, proof, evidence.metric)) for proof in evidence.proofs or ()]
    files, bundle_bytes = sizes(manifest), arguments.target.stat().st_size
    if arguments.json:
        found = {"sha256": sha256, "manifest": manifest, "machine": evidence.machine, "checked": checked}
        found["signatures"] = [one.keyid for one in signatures]
        found["measured_on"] = evidence.measured_on
        found["proofs"] = [{"rung": proof.rung, "system": proof.system, "counts": counts} for proof, counts in proofs]
        console.show_json({**found, "bundle_bytes": bundle_bytes, "files": files})
        return 0
    _show_origin(manifest, evidence)
    _show_task(manifest)
    splits = ", ".join(f"{len(split.images):,} {split.name}" for split in evidence.splits)
    print(f"{'texts' if manifest.preprocess is None else 'images'}: {splits}; metric: {evidence.metric}")
    show_candidates(ladder_rows(manifest.ladder, manifest.budget))
    show_detections(evidence)
    show_sizes(files, bundle_bytes)
    show_cascade(manifest.ladder)
    for proof, counts in proofs:
        print("; ".join(checked_words(proof.rung, counts)))
    print(console.clean(signed))
    print(f"every hash agrees; {checked} certificate(s) recomputed from the evidence")
    return 0


def _show_task(manifest: Manifest) -> None:
    from shoestring.cli.writer_tables import show_generation
    from shoestring.inputs.spec import describe
    from shoestring.inputs.text import text_words

    if manifest.text is not None:
        print(f"task: {text_words(manifest.text, manifest.output.shape[1])}")
    elif manifest.generation is not None:
        show_generation(manifest.generation)
    else:
        print(f"task: {_task(manifest.head)}")
        print(f"pre-processing: {describe(manifest.pixels)}")


def _show_origin(manifest: Manifest, evidence: Evidence) -> None:
    from shoestring.cli import console

    print(
        console.clean(
            f"{manifest.name}, made by {manifest.created_by} from a model with SHA-256 {manifest.source_sha256}"
        )
    )
    predicted = manifest.ladder.rung(manifest.ladder.chosen).candidate.cost.predicted
    if predicted is not None:
        print(f"latency and memory are estimates for {predicted.chip} ({predicted.ground}), not measurements")
    if evidence.measured_on is not None:
        board = evidence.measured_on
        print(f"latency and memory were measured on a board: {board.name} ({', '.join(board.isa)})")
    here = predicted is None and evidence.measured_on is None
    done = "measured" if here else "scored and certified"
    print(f"{done} on {evidence.machine.name} ({', '.join(evidence.machine.isa)})")


def _task(head: Head | None) -> str:
    if head is None:
        return "classes of whole images"
    return (
        f"boxes of {head.classes:,} classes (head {head.kind}, threshold {head.threshold:g}, overlap {head.overlap:g})"
    )
