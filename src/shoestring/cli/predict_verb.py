"""Say what a model would cost on a chip that is not at hand: latency, memory, energy, price and heat, with intervals.

Every figure is an estimate with a 90 % interval and says what it rests on; where nothing supports one, there is none.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli import predict_language
from shoestring.cli.heat_text import heat_data, show_heat
from shoestring.cli.options import add_weights
from shoestring.cli.planning_options import heat_points, words

if TYPE_CHECKING:
    from shoestring.costmodel.heat import Outlook
    from shoestring.domain.chip import Chip
    from shoestring.domain.estimate import NoClaim
    from shoestring.domain.forecast import Forecast, Prediction

EXAMPLE = "shoestring predict model.onnx --chip raspberry-pi-4b-4gb --minutes 30 --ambient 35 --cooling bare"


def fill(parser: argparse.ArgumentParser) -> None:
    from shoestring.cli.planning_options import add_heat, add_prices, add_rows, add_shape

    parser.add_argument(
        "model", type=Path, help="ONNX file, opset 11 or later, or see docs/importers.md; GGUF, docs/llm-planning.md"
    )
    add_weights(parser)
    parser.add_argument("--chip", metavar="NAME", help="as `shoestring chips` lists them")
    parser.add_argument("--chip-file", type=Path, metavar="FILE", help="one more chip, described in a TOML file")
    parser.add_argument("--runtime", metavar="NAME", help="only this one")
    parser.add_argument("--precision", metavar="NAME", help="only this one, like int8")
    parser.add_argument("--threads", type=int, metavar="N", help="only this many")
    add_shape(parser)
    add_rows(parser)
    add_heat(parser, None)
    parser.add_argument(
        "--fps", type=float, metavar="N", help="examples a second asked for (default: as fast as it can)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw temperature and clock over time")
    add_prices(parser)
    predict_language.fill(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.chips.loading import catalogue, chip_named
    from shoestring.cli import console
    from shoestring.cli.planning_options import knowledge, read_features
    from shoestring.planning import Wish, predict
    from shoestring.planning.language import is_language

    if is_language(arguments.model):
        return predict_language.run(arguments)
    chip = chip_named(arguments.chip, arguments.chip_file)
    if arguments.plot is not None and arguments.minutes is None:
        raise UsageError("--plot draws a run over time", hint="add --minutes 30")
    known = knowledge(arguments)
    servers = [one for one in catalogue().values() if one.kind == "server" and one.name != chip.name]
    found = predict(
        read_features(arguments.model, arguments.shape, arguments.weights),
        chip,
        known,
        wish=Wish(arguments.runtime, arguments.precision, arguments.threads),
        beside=servers,
    )
    heat = _heat(arguments, chip, found)
    drawn = _draw(arguments, heat)
    if arguments.json:
        console.show_json({"prediction": found, "heat": heat_data(heat), "assumptions": str(known.assumed)})
        return 0
    _show(found, str(known.assumed))
    if heat is not None:
        show_heat(heat)
    if drawn is not None:
        console.say(f"wrote {drawn}")
    return 0


def _heat(arguments: argparse.Namespace, chip: Chip, found: Prediction) -> Outlook | NoClaim | None:
    from shoestring.costmodel.heat import Load, outlook
    from shoestring.domain.estimate import Estimate, NoClaim

    if arguments.minutes is None:
        return None
    if found.best is None or not isinstance(found.best.rate, Estimate):
        return NoClaim("without a rate there is no load to simulate")
    load = Load(
        found.best.rate,
        arguments.fps,
        arguments.minutes,
        arguments.ambient,
        arguments.cooling,
        arguments.battery_wh,
    )
    return outlook(chip, load)


def _draw(arguments: argparse.Namespace, heat: Outlook | NoClaim | None) -> Path | None:
    from shoestring.base import disk
    from shoestring.base.errors import UsageError
    from shoestring.domain.estimate import NoClaim

    if arguments.plot is None or heat is None:
        return None
    if isinstance(heat, NoClaim):
        raise UsageError(f"nothing to draw: {heat.why}", hint="leave --plot out")
    from shoestring.report.heat_plot import heat_file

    path: Path = arguments.plot
    ambient = heat.sustained.ambient_celsius
    disk.write_text(path, heat_file(heat_points(heat), ambient_celsius=ambient, limits=heat.limits))
    return path


def _show(found: Prediction, assumed: str) -> None:
    from shoestring.base.units import format_bytes, format_count
    from shoestring.cli import console
    from shoestring.domain.estimate import Estimate

    features = found.features
    counts = f"{format_count(features.macs)} MACs, {format_count(features.params)} parameters"
    print(f"{found.model} ({counts}) on {found.title}")
    rows = [
        (
            str(one.combination),
            words(one.latency, "ms"),
            words(one.rate, ""),
            one.latency.ground if isinstance(one.latency, Estimate) else "streaming",
            f"{format_bytes(one.memory.value)}, {_fits(one.fits)}" if isinstance(one.memory, Estimate) else "no claim",
            words(one.energy, "mJ"),
            words(one.price, "USD"),
        )
        for one in _fastest(found)
    ]
    if rows:
        columns = ("way", "latency (90 %)", "a second", "ground", "memory", "energy", "a million")
        console.show_table(columns, rows, right=frozenset({1, 2, 5}))
    for why, runtimes in _unclaimed(found).items():
        print(f"no claim for {', '.join(runtimes)}: {why}")
    if found.best is not None and isinstance(found.best.rate, Estimate):
        shown = found.best.latency if isinstance(found.best.latency, Estimate) else found.best.rate
        print(f"best: {found.best.combination}")
        print(f"rests on: {'; '.join((*shown.rests_on, *shown.widened))}")
        print(f"as measured: {shown.protocol}")
    for other in found.beside:
        print(
            f"beside: {other.title}, {other.forecast.combination}: a million for {words(other.forecast.price, 'USD')}"
        )
    print(f"prices: {assumed}")
    for warning in found.warnings:
        console.say(f"note: {warning}")


def _fastest(found: Prediction) -> list[Forecast]:
    """Of each runtime, engine and precision the best number of threads; --json has them all."""
    from shoestring.domain.estimate import Estimate

    best: dict[tuple[str, str, str], Forecast] = {}
    for one in found.forecasts:
        if isinstance(one.rate, Estimate):
            way = one.combination
            best.setdefault((way.runtime, way.device, way.precision), one)
    return list(best.values())


def _unclaimed(found: Prediction) -> dict[str, list[str]]:
    """Reasons with the runtimes that they hold for; a reason that names its runtime is told once, for all of them."""
    from shoestring.domain.estimate import NoClaim

    told: dict[str, list[str]] = {}
    for one in found.forecasts:
        if isinstance(one.rate, NoClaim):
            runtime = one.combination.runtime
            names = told.setdefault(one.rate.why.replace(f"of {runtime} ", "of it "), [])
            if runtime not in names:
                names.append(runtime)
    return told


def _fits(verdict: str) -> str:
    return {"yes": "fits", "no": "too large", "unsure": "may fit"}[verdict]
