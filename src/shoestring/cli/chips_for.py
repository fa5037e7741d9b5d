"""`shoestring chips --for MODEL`: every chip weighed for a job."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.cli import predict_language
from shoestring.cli.options import add_weights
from shoestring.cli.planning_options import MINUTES, add_heat, add_prices, add_rows, add_shape, heat_points, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.forecast import Advice, BoardAdvice
    from shoestring.planning.advising import Weighed

CURVES = 6
"""Temperature curves on the page: of the first boards that have one."""


def fill(parser: argparse.ArgumentParser) -> None:
    job = parser.add_argument_group("advice")
    told = "a model to find a board for: ONNX, or see docs/importers.md"
    job.add_argument("--for", dest="model", type=Path, metavar="MODEL", help=told)
    add_weights(parser)
    job.add_argument("--fps", type=float, metavar="N", help="examples a second that must be kept up")
    job.add_argument("--max-price", type=float, metavar="USD", help="of one board")
    job.add_argument("--max-watts", type=float, metavar="W", help="of the whole board, mean under this load")
    job.add_argument("--html", type=Path, metavar="FILE", help="write the page with plots")
    add_shape(job)  # type: ignore[arg-type]
    add_rows(parser)
    add_heat(parser, MINUTES)
    add_prices(parser)
    predict_language.fill(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import disk
    from shoestring.base.errors import UsageError
    from shoestring.chips.loading import catalogue, with_file
    from shoestring.cli import console
    from shoestring.cli.planning_options import knowledge, read_features
    from shoestring.domain.forecast import Job
    from shoestring.planning import advise
    from shoestring.planning.language import is_language

    if arguments.action != "list" or arguments.name is not None:
        raise UsageError("--for weighs all chips and takes no name", hint="shoestring predict MODEL --chip NAME")
    if is_language(arguments.model):
        return predict_language.run_all(arguments)
    if arguments.fps is None:
        raise UsageError("--for needs the rate that must be kept up", hint="add --fps 15")
    job = Job(
        arguments.fps,
        arguments.max_price,
        arguments.max_watts,
        arguments.ambient,
        arguments.cooling,
        arguments.minutes,
        arguments.battery_wh,
    )
    chips = with_file(catalogue(), arguments.chip_file)
    features = read_features(arguments.model, arguments.shape, arguments.weights)
    advice, weighed = advise(features, chips.values(), job, knowledge(arguments))
    if arguments.html is not None:
        disk.write_text(arguments.html, _page(advice, weighed))
    if arguments.json:
        console.show_json(advice)
        return 0
    _show(advice)
    if arguments.html is not None:
        console.say(f"wrote {arguments.html}")
    return 0


def _page(advice: Advice, weighed: Sequence[Weighed]) -> str:
    from dataclasses import replace

    from shoestring.report.advice_page import render_advice
    from shoestring.report.heat_plot import NARROW, WIDE, heat_plot

    curves = []
    for number, one in enumerate([one for one in weighed if one.outlook is not None][:CURVES]):
        assert one.outlook is not None
        given: dict[str, Any] = {"ambient_celsius": advice.job.ambient_celsius, "limits": one.outlook.limits}
        drawn = [
            heat_plot(
                heat_points(one.outlook), shape=replace(shape, identifier=f"{shape.identifier}-{number}"), **given
            )
            for shape in (WIDE, NARROW)
        ]
        curves.append((f"{one.board.title}, {one.outlook.sustained.cooling}", "".join(drawn)))
    return render_advice(advice, curves)


def _show(advice: Advice) -> None:
    from shoestring.cli import console
    from shoestring.report.advice_page import advice_headline, job_words

    print(advice_headline(advice))
    print(job_words(advice.job))
    columns = ("board", "verdict", "price", "keeps up a second", "watts", "how, or why not")
    console.show_table(columns, [_row(board) for board in advice.boards], right=frozenset({2, 3, 4}))
    for line in advice.assumptions:
        print(line)


def _row(board: BoardAdvice) -> tuple[str, ...]:
    price = "?" if board.price_usd is None else f"${board.price_usd:g} ({board.price_date})"
    return (
        board.chip,
        board.verdict,
        price,
        "" if board.rate is None else words(board.rate, ""),
        "" if board.watts is None else words(board.watts, "W"),
        "; ".join(board.reasons) or _way(board),
    )


def _way(board: BoardAdvice) -> str:
    if board.forecast is None:
        return ""
    return f"{board.forecast.combination}: {words(board.forecast.latency, 'ms')}"
