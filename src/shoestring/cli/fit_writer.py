"""`fit` for a model that writes text: what it may cost and how far it may move from the original."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget

OF_IMAGES: dict[str, object] = {
    "ssh": None,
    "runtimes": None,
    "student": [],
    "head": None,
    "labels": None,
    "limit": None,
    "engine": "local",
    "weights": None,
    "rows": None,
}
"""Options that say nothing about such a model, with what they are when nobody gave them."""


def fill_writer(parser: argparse.ArgumentParser) -> None:
    writer = parser.add_argument_group("a model that writes text (GGUF, or a folder of Hugging Face)")
    writer.add_argument(
        "--max-kl", type=float, metavar="0.05", help="largest mean KL to the original a token, nats, to be certified"
    )
    writer.add_argument("--tokens-per-s", type=float, metavar="10", help="least tokens written a second")
    writer.add_argument(
        "--context", type=int, metavar="N", help="tokens of prompt and answer that memory is taken for (default: 2048)"
    )


def fit_writer(arguments: argparse.Namespace, budget: Budget) -> int:
    """Run it, and show the ladder.

    Raises:
        UsageError: an option of images.
        ShoestringError: as `fit_language`.
    """
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.cli.writer_tables import show_writers
    from shoestring.fitting.language.fit import fit_language

    for name, silent in OF_IMAGES.items():
        if getattr(arguments, name, silent) != silent:
            raise UsageError(
                f"--{name.replace('_', '-')} says nothing about a model that writes text", hint="leave it out"
            )
    with console.ShowProgress() as progress:
        fitted = fit_language(
            arguments.model,
            arguments.data,
            out=arguments.out,
            budget=replace(budget, max_kl=arguments.max_kl, tokens_per_s=arguments.tokens_per_s),
            chip=arguments.chip,
            chip_file=arguments.chip_file,
            context=arguments.context,
            seed=arguments.seed,
            cache=arguments.cache,
            progress=progress,
        )
    if arguments.json:
        console.show_json(
            {
                "chosen": fitted.ladder.chosen,
                "chip": arguments.chip,
                "bundle": arguments.out,
                "rows": fitted.rows(),
                "generation": fitted.manifest.generation,
                "notes": fitted.notes,
            }
        )
        return 0
    for note in fitted.notes:
        console.say(note)
    show_writers(fitted.rows())
    console.say(f"chosen: {fitted.ladder.chosen}" + (f"; wrote {arguments.out}" if arguments.out else ""))
    return 0
