"""The outcome of a comparison: one record a contestant, one aligned table."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from contestants import REFERENCE
from shoestring._version import __version__
from shoestring.base.canonical import plain
from shoestring.base.units import format_bytes, format_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contestants import Contestant
    from judging import Verdict
    from native_peak import Peak
    from shoestring.domain.cost import Cost, Timing

CHOSEN = " *"
PACKAGES = ("numpy", "onnx", "onnxruntime", "nncf", "olive-ai")


def record(contestant: Contestant, verdict: Verdict | None, cost: Cost | None, failure: str | None) -> dict[str, Any]:
    """Everything known of a contestant, as JSON holds it; absent figures are None."""
    return {
        "name": contestant.name,
        "chosen": contestant.chosen,
        "seconds_to_make": contestant.seconds,
        "note": contestant.note,
        "failure": failure,
        "verdict": plain(verdict),
        "cost": plain(cost),
    }


def versions() -> dict[str, str | None]:
    """Of everything that decides the figures; None for what is not installed."""
    found: dict[str, str | None] = {"shoestring": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def page(
    said: Mapping[str, Any], field: Sequence[Contestant], verdicts: Mapping[str, Verdict], costs: Mapping[str, Cost]
) -> str:
    """What is printed: where and with what, the table, who failed, and how each was made."""
    machine, sizes = said["machine"], said["images"]
    lines = [
        f"{said['model']} on {machine['name']}, {machine['cores']} cores, {machine['system']}",
        f"instruction sets: {', '.join(machine['isa'])}",
        ", ".join(f"{name} {version or 'missing'}" for name, version in said["versions"].items()),
        f"images: {', '.join(f'{count:,} {name}' for name, count in sizes.items())}; judged on certification",
        "",
        table(field, verdicts, costs),
        "",
    ]
    if any(one.chosen for one in field):
        lines.append(
            f"{CHOSEN.strip()} chosen by our fit; its time is that of the whole fit, measuring and certifying too"
        )
    lines += [f"failed: {name}: {reason}" for name, reason in said["failures"].items()]
    lines += [f"{one.name}: {one.note}" for one in field if one.name in verdicts]
    return "\n".join(lines)


def table(contestants: Sequence[Contestant], verdicts: Mapping[str, Verdict], costs: Mapping[str, Cost]) -> str:
    """One line a contestant that could be judged, then one for each that could not.

    Args:
        contestants: in the order to show.
        verdicts: by name.
        costs: by name; those with a verdict have one, all at the same thread counts.
    """
    labelled = verdicts[REFERENCE].metric == "top-1"
    threads = [timing.threads for timing in costs[REFERENCE].timings]
    head = ["contestant", verdicts[REFERENCE].metric, *(["wins/losses", "agreement"] if labelled else []), "KL", "SQNR"]
    for count in threads:
        head += [f"{count} thread{'s' if count > 1 else ''}", "times as fast (10-90 %)"]
    head += ["peak memory", "size", "made in"]
    rows = [head]
    for one in contestants:
        verdict = verdicts.get(one.name)
        if verdict is None:
            continue
        row = [one.name + (CHOSEN if one.chosen else ""), percent(verdict.value)]
        if labelled:
            row += [f"{verdict.wins}/{verdict.losses}", percent(verdict.agreement)]
        row += [f"{verdict.kl:.4f}", f"{verdict.sqnr_db:.1f} dB"]
        for timing in costs[one.name].timings:
            row += [format_ms(timing.median_ms), speed(timing)]
        made = "" if one.seconds is None else f"{one.seconds:.1f} s"
        rows.append(
            [*row, format_bytes(costs[one.name].peak_rss_bytes), format_bytes(costs[one.name].size_bytes), made]
        )
    return align(rows)


def roofline(field: Sequence[Contestant], costs: Mapping[str, Cost], macs: int, peak: Peak | None) -> list[str]:
    """How near each contestant comes to the peak of 8-bit products on one core; float layers count at that peak too."""
    if peak is None:
        return ["no roofline: AVX512-VNNI or a C compiler is missing"]
    lines = [f"one core's peak: {peak.int8_gmacs:.0f} GMAC/s in 8 bits; the model takes {macs / 1e6:.0f} M"]
    for one in field:
        timing = (
            next((timing for timing in costs[one.name].timings if timing.threads == 1), None)
            if one.name in costs
            else None
        )
        if timing is not None:
            lines.append(f"  {one.name}: {percent(peak.share('int8', macs, timing.median_ms, 1))} of it on one thread")
    return lines


def percent(part: float) -> str:
    return f"{100 * part:.2f} %"


def speed(timing: Timing) -> str:
    """`1.95 (1.90-2.01)`: the reference's time over this one's."""
    return f"{1 / timing.ratio_to_original:.2f} ({1 / timing.ratio_high:.2f}-{1 / timing.ratio_low:.2f})"


def align(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; the first row is the head, the first column goes to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
