"""`shoestring predict MODEL.gguf`: what a model that writes text would take on a chip, or on all of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from shoestring.cli.heat_text import heat_data, show_heat
from shoestring.cli.planning_options import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.language_plan import LanguagePlan

FITS = {"yes": "fits", "no": "too large", "unsure": "may fit"}
ONLY_IMAGES = ("runtime", "precision", "fps", "plot")


def fill(parser: argparse.ArgumentParser) -> None:
    """Options of models that write."""
    from shoestring.costmodel.language.setting import CACHE_TYPES

    group = parser.add_argument_group("models that write text (GGUF, folders of Hugging Face)")
    group.add_argument(
        "--context", type=int, default=2048, metavar="N", help="tokens of a conversation (default: 2048)"
    )
    group.add_argument("--cache", metavar="TYPE", default="F16", help=f"{' or '.join(CACHE_TYPES)} for keys and values")
    group.add_argument("--prompt", type=int, default=256, metavar="N", help="tokens of a usual prompt (default: 256)")
    group.add_argument("--type", dest="block_type", metavar="TYPE", help="plan another block type, like Q4_0")
    group.add_argument("--size", dest="mix_size", metavar="90MB", help="plan a mix of types of that size")
    group.add_argument(
        "--header-only", action="store_true", help="the file may be no more than the first megabytes of one"
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan on the chip that was named, or on all. Returns the exit code."""
    from shoestring.base.errors import UsageError
    from shoestring.chips.loading import chip_named

    for name in ONLY_IMAGES:
        if getattr(arguments, name) is not None:
            raise UsageError(f"--{name} is for models of images", hint="a model that writes runs on llama.cpp")
    if arguments.chip is None and arguments.chip_file is None:
        if arguments.minutes is not None:
            raise UsageError("--minutes is for one chip", hint="add --chip NAME")
        return run_all(arguments)
    chip = chip_named(arguments.chip, arguments.chip_file)
    plans, assumed = _plans(arguments, [chip])
    return _one(arguments, plans[0], chip, assumed)


def run_all(arguments: argparse.Namespace) -> int:
    """Plan on every board. Returns the exit code."""
    from shoestring.chips.loading import catalogue, with_file
    from shoestring.cli import console

    chips = [chip for chip in with_file(catalogue(), arguments.chip_file).values() if chip.kind == "board"]
    plans, assumed = _plans(arguments, chips)
    if arguments.json:
        console.show_json({"plans": plans, "assumptions": assumed})
        return 0
    first = plans[0]
    print(_headline(first))
    columns = (
        "board",
        "memory",
        "longest",
        "writes, tokens/s (90 %)",
        "reads, tokens/s",
        "first token",
        "a token",
    )
    rows = [
        (
            one.chip,
            FITS[one.fits],
            "-" if one.longest is None else f"{one.longest:,}",
            words(one.writing, ""),
            words(one.reading, ""),
            words(one.first_token, "s"),
            words(one.energy, "mJ"),
        )
        for one in plans
    ]
    console.show_table(columns, rows, right=frozenset(range(2, 7)))
    print(
        f"after {first.wish.context:,} tokens of context, cache in {first.wish.cache}; {_prompt(first)}; on "
        f"{_threads(first)}"
    )
    _unclaimed(plans)
    return 0


def _plans(arguments: argparse.Namespace, chips: Sequence[Chip]) -> tuple[Sequence[LanguagePlan], str]:
    from shoestring.base.units import parse_bytes
    from shoestring.cli import console
    from shoestring.cli.planning_options import knowledge
    from shoestring.domain.language_plan import LanguageWish
    from shoestring.importers.importing import not_closed
    from shoestring.planning.language import as_wished, language_source, plan_on

    source = language_source(arguments.model, header_only=arguments.header_only)
    if source.lacking is not None:
        console.say(not_closed(source.lacking))
    size = None if arguments.mix_size is None else parse_bytes(arguments.mix_size)
    source = as_wished(source, arguments.block_type, size)
    threads = getattr(arguments, "threads", None)
    wish = LanguageWish(arguments.context, arguments.cache.upper(), threads, arguments.prompt)
    known = knowledge(arguments)
    return plan_on(source, chips, wish, known.rows, known.assumed), str(known.assumed)


def _one(arguments: argparse.Namespace, found: LanguagePlan, chip: Chip, assumed: str) -> int:
    from shoestring.cli import console
    from shoestring.planning.language import heat_of

    heat = None
    if arguments.minutes is not None:
        heat = heat_of(found, chip, arguments.minutes, arguments.ambient, arguments.cooling, arguments.battery_wh)
    if arguments.json:
        console.show_json({"plan": found, "heat": heat_data(heat), "assumptions": assumed})
        return 0
    _show(found, assumed)
    if heat is not None:
        show_heat(heat)
    return 0


def _show(found: LanguagePlan, assumed: str) -> None:
    from shoestring.base.units import format_bytes
    from shoestring.cli import console
    from shoestring.domain.estimate import Estimate

    print(f"{_headline(found)} on {found.title}")
    rows = [
        (
            f"{one.context:,}",
            f"{format_bytes(one.memory.value)} ({format_bytes(one.memory.low)}-{format_bytes(one.memory.high)})",
            FITS[one.fits],
        )
        for one in found.memory
    ]
    console.show_table(("context", "peak memory (90 %)", ""), rows, right=frozenset({0, 1}))
    print(f"longest context  {'none fits' if found.longest is None else f'{found.longest:,} tokens'}")
    lines = (
        (
            "writes",
            found.writing,
            "tokens/s",
            f"after {found.wish.context:,} tokens, cache in {found.wish.cache}, {_threads(found)}",
        ),
        ("reads", found.reading, "tokens/s", _prompt(found)),
        ("first token", found.first_token, "s", "after that prompt"),
        ("draws", found.watts, "W", "the whole board"),
        ("a token takes", found.energy, "mJ", ""),
        ("a million", found.price, "USD", assumed),
    )
    for what, figure, unit, how in lines:
        print(f"{what:<17}{words(figure, unit)}" + (f"  {how}" if how else ""))
    told = [found.memory[0].memory, found.writing, found.reading]
    for figure in told:
        if isinstance(figure, Estimate):
            print(f"rests on: {figure.ground}: {'; '.join((*figure.rests_on, *figure.widened))}")
    _unclaimed([found])
    for warning in found.warnings:
        console.say(f"note: {warning}")


def _headline(found: LanguagePlan) -> str:
    from shoestring.base.units import format_bytes, format_count

    shape = found.shape
    types = ", ".join(f"{kind} {format_bytes(size)}" for kind, size in found.types[:4])
    return (
        f"{found.model} ({shape.architecture}, {format_count(shape.parameters)} parameters, "
        f"{format_bytes(found.file_bytes)}: {types})"
    )


def _prompt(found: LanguagePlan) -> str:
    return f"a prompt of {found.wish.prompt:,} tokens"


def _threads(found: LanguagePlan) -> str:
    return "all large cores" if found.wish.threads is None else f"{found.wish.threads} threads"


def _unclaimed(plans: Sequence[LanguagePlan]) -> None:
    from shoestring.domain.estimate import NoClaim

    told = [figure.why for one in plans for figure in (one.writing, one.reading) if isinstance(figure, NoClaim)]
    for why in dict.fromkeys(told):
        print(f"no claim: {why}")


__all__ = ["fill", "run", "run_all"]
