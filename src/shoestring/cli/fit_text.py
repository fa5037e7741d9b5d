"""`fit` for an encoder of text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget

NOT_FOR_TEXT = ("weights", "chip_file", "rows", "ssh", "student", "head")
"""Arguments that say nothing about an encoder of text."""


def fill_text(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("an encoder of text (docs/text.md)")
    group.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json (default: beside the model)")
    group.add_argument("--max-tokens", type=int, metavar="N", help="longer texts are cut (default: as the model says)")
    group.add_argument(
        "--way",
        choices=("head", "probe", "embedding"),
        help="certify the model's own classes, those of a linear probe, or nearest neighbours (default: head where the "
        "model has classes, probe where the texts have labels, else embedding)",
    )


def fit_encoder(arguments: argparse.Namespace, budget: Budget) -> int:
    """Fit, and show what came of it. Raises UsageError for what is for images alone; and as `fit_text`."""
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.cli.tables import show_candidates
    from shoestring.evaluate.dataset_labels import read_label_names
    from shoestring.fitting.text import fit_text

    for name in NOT_FOR_TEXT:
        if getattr(arguments, name, None):
            raise UsageError(f"--{name.replace('_', '-')} says nothing about an encoder of text", hint="leave it out")
    with console.ShowProgress() as progress:
        fitted = fit_text(
            arguments.model,
            arguments.data,
            way=arguments.way,
            tokenizer=arguments.tokenizer,
            max_tokens=arguments.max_tokens,
            out=arguments.out,
            budget=budget,
            chip=arguments.chip,
            labels=read_label_names(arguments.labels) if arguments.labels else (),
            limit=arguments.limit,
            seed=arguments.seed,
            runtimes=arguments.runtimes.split(",") if arguments.runtimes is not None else None,
            cache=arguments.cache,
            progress=progress,
        )
    if arguments.json:
        console.show_json(
            {
                "chosen": fitted.ladder.chosen,
                "bundle": arguments.out,
                "rows": fitted.rows(),
                "text": fitted.manifest.text,
                "notes": fitted.notes,
            }
        )
        return 0
    for note in fitted.notes:
        console.say(note)
    show_candidates(fitted.rows())
    console.say(f"chosen: {fitted.ladder.chosen}" + (f"; wrote {arguments.out}" if arguments.out else ""))
    return 0
