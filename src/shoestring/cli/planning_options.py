"""Flags and reading that `predict` and `chips --for` share."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.costmodel.heat import Outlook
    from shoestring.domain.estimate import Estimate, NoClaim
    from shoestring.domain.features import Features
    from shoestring.planning.forecasting import Knowledge
    from shoestring.report.heat_plot import HeatPoint

AMBIENT_CELSIUS, MINUTES = 25.0, 30.0


def add_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        action="append",
        metavar="NAME=1x3x224x224",
        help="of an input that the model leaves open; repeatable",
    )


def add_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=Path, metavar="FILE", help="CSV of your own measurements to learn from too")


def add_heat(parser: argparse.ArgumentParser, minutes: float | None) -> None:
    """--minutes and what goes with it; `minutes` is the default, None for no long run."""
    heat = parser.add_argument_group("heat and power")
    told = "not simulated unless given" if minutes is None else f"default: {minutes:g}"
    heat.add_argument("--minutes", type=float, default=minutes, metavar="N", help=f"length of the run ({told})")
    heat.add_argument(
        "--ambient", type=float, default=AMBIENT_CELSIUS, metavar="C", help="air around the board (default: 25)"
    )
    heat.add_argument("--cooling", choices=("bare", "heatsink", "fan"), help="default: the best the chip file knows")
    heat.add_argument("--battery-wh", type=float, metavar="WH", help="energy of a battery")


def add_prices(parser: argparse.ArgumentParser) -> None:
    from shoestring.costmodel.money.price import Assumptions

    usual = Assumptions()
    prices = parser.add_argument_group("prices")
    prices.add_argument("--life-years", type=float, default=usual.life_years, help="that a board serves (default: 5)")
    prices.add_argument(
        "--kwh-usd", type=float, default=usual.kwh_usd, help=f"of electricity (default: {usual.kwh_usd:g})"
    )
    prices.add_argument("--busy", type=float, default=usual.busy, help="share of its life at full rate (default: 1)")


def read_features(path: Path, shapes: Sequence[str] | None, weights: Path | None = None) -> Features:
    """Features of a model file.

    Raises:
        UsageError: a --shape that cannot be read or names no input.
        ModelError: the file is no model, too large, or leaves shapes open.
    """
    from shoestring.analysis import features_of
    from shoestring.importers import import_model

    with tempfile.TemporaryDirectory() as scratch:
        model = import_model(path, Path(scratch) / "model.onnx", shapes=shapes_from(shapes), weights=weights)
        return features_of(model)


def shapes_from(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """What --shape gives, by input; None where it is not given.

    Raises:
        UsageError: one that cannot be read.
    """
    return dict(_shape(text) for text in texts or ()) or None


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    from shoestring.base.errors import UsageError

    name, _, sizes = text.rpartition("=")
    parts = sizes.lower().split("x")
    if not name or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--shape {text!r} is not NAME=SIZES", hint="write --shape input=1x3x224x224")
    return name, tuple(int(part) for part in parts)


def knowledge(arguments: argparse.Namespace) -> Knowledge:
    """Published rows with the user's own, and the assumptions about prices."""
    from shoestring.chips.own_rows import networks_beside
    from shoestring.chips.published import published_networks, published_rows
    from shoestring.chips.rows import read_rows
    from shoestring.costmodel.money import Assumptions
    from shoestring.planning.forecasting import Knowledge

    assumed = Assumptions(arguments.life_years, arguments.kwh_usd, arguments.busy)
    own = () if arguments.rows is None else read_rows(arguments.rows)
    beside = {} if arguments.rows is None else networks_beside(arguments.rows)
    rows = (*published_rows(), *own) if own else published_rows()
    return Knowledge(rows, {**published_networks(), **beside}, assumed)


def heat_points(seen: Outlook) -> list[HeatPoint]:
    """The curve with its band, as plots take it."""
    from shoestring.report.heat_plot import HeatPoint

    return [
        HeatPoint(moment.seconds, moment.celsius, low, high, moment.clock)
        for moment, low, high in zip(seen.curve, seen.low, seen.high, strict=True)
    ]


def words(shown: Estimate | NoClaim, unit: str) -> str:
    """`12.3 ms (9.8-15.4)`, or `no claim`."""
    from shoestring.domain.estimate import NoClaim

    if isinstance(shown, NoClaim):
        return "no claim"
    gap = f" {unit}" if unit else ""
    return f"{_number(shown.value)}{gap} ({_number(shown.low)}-{_number(shown.high)})"


def _number(value: float) -> str:
    """Three significant digits without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
