"""`shoestring import` of a Hugging Face folder: an encoder becomes ONNX, a model that writes GGUF, as --out says."""

from __future__ import annotations

import argparse

from shoestring.base.errors import UsageError
from shoestring.cli import console
from shoestring.cli.import_verb import show_model

GGUF_SUFFIX = ".gguf"


def run(arguments: argparse.Namespace) -> int:
    """Import, and show what came out."""
    if arguments.out.suffix == GGUF_SUFFIX:
        return _language(arguments)
    return _encoder(arguments)


def _language(arguments: argparse.Namespace) -> int:
    from shoestring.cli import weights_text
    from shoestring.importers.huggingface.language import import_noted

    if arguments.pooling is not None:
        raise UsageError("--pooling is for an encoder, and a GGUF file holds none", hint="give --out model.onnx")
    header, notes = import_noted(arguments.model, arguments.out, require_quarantine=arguments.require_quarantine)
    if arguments.json:
        console.show_json({"name": arguments.out.name, "notes": notes, "weights": header})
        return 0
    weights_text.head(header)
    for note in notes:
        console.say(note)
    console.say(f"wrote {arguments.out}")
    return 0


def _encoder(arguments: argparse.Namespace) -> int:
    from shoestring.importers.huggingface.encoders import import_encoder

    made = import_encoder(
        arguments.model, arguments.out, pooling=arguments.pooling, require_quarantine=arguments.require_quarantine
    )
    facts = {
        "kind": made.kind,
        "max_tokens": made.max_tokens,
        "padding": made.padding,
        "normalized": made.normalized,
        "labels": made.labels,
    }
    if arguments.json:
        console.show_json({"model": made.model, **facts})
        return 0
    print(f"{'kind':<10}{made.kind}, texts of at most {made.max_tokens:,} tokens")
    if made.labels:
        print(f"{'labels':<10}{console.clean(', '.join(made.labels))}")
    show_model(made.model)
    return 0
