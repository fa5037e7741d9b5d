"""What `shoestring legalise` prints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from shoestring.base.units import format_bytes, format_count
from shoestring.cli import console
from shoestring.legalise import edgetpu
from shoestring.legalise.place import FOLLOWS
from shoestring.legalise.table import row_named

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.legalise import Plan, Target
    from shoestring.legalise.edgetpu import Compiled
    from shoestring.legalise.making import Made
    from shoestring.legalise.trtexec import Build

NOT_MEASURED = "not measured here: no such chip is at hand; all of this is read from its maker's published lists"


def show_made(made: Made, target: Target) -> None:
    """Before, what was rewritten, after, and how both models compare."""
    show_plan(made.before, target)
    if made.legal.done or made.legal.notes:
        print("\nrewritten:")
        counts = Counter(one.rewrite for one in made.legal.done)
        rows = [(name, str(count), row_named(name).exact, row_named(name).why) for name, count in counts.items()]
        if rows:
            console.show_table(("rewrite", "times", "same", "what it is"), rows, right=frozenset({1}))
        for note in made.legal.notes:
            print(f"also: {note}")
        print("\nafter:")
        show_plan(made.after, target)
    same = made.sameness
    words = "the same bits" if same.identical else f"within {same.largest:.1e} of an output's range"
    print(f"\nchecked     {words}, on {made.given} inputs given and {same.examples - made.given} random ones")
    if made.changed is not None:
        moved = made.changed
        share = 100 * moved.largest
        print(f"replaced    outputs move by up to {share:.2g} % of their range; the largest stays the largest")
        print(f"            on {moved.agreeing} of {moved.examples} inputs; shoestring fit measures the accuracy")
    print(f"measured    {NOT_MEASURED}")


def show_plan(found: Plan, target: Target) -> None:
    """Where a model runs, and why not all of it."""
    outside = found.first_outside
    share = 100 * found.mapped_macs / found.macs if found.macs else 0.0
    print(f"chip        {target.chip.title}")
    if found.refused:
        print(f"verdict     refused by {target.takes.title} as it is")
    macs = f"{format_count(found.mapped_macs)} of {format_count(found.macs)} MACs ({share:.3g} %)"
    print(f"mapped      {len(found.mapped)} of {len(found.operators)} operators to the {found.title}, {macs}")
    if found.highest_opset is not None and found.opset > found.highest_opset:
        print(f"operators   of set {found.opset}; {target.takes.title} reads set {found.highest_opset} and older")
    if outside is not None and found.parting == "once":
        after = sum(one.why == FOLLOWS for one in found.operators)
        print(
            f"cut         at {outside.operator} {outside.name!r}; {after} operators behind it follow to the processor"
        )
    if found.crossings:
        print(f"crossing    {len(found.crossings)} tensors of {format_bytes(found.crossing_bytes)} between the two")
    _show_caching(found)
    _show_outside(found)
    for operator, why in {one.operator: one.doubt for one in found.mapped if one.doubt}.items():
        print(f"doubtful    {operator}: {why}")


def _show_caching(found: Plan) -> None:
    held = found.caching
    if held is None:
        return
    stays = f"{format_bytes(held.on_chip_low_bytes)} to {format_bytes(held.on_chip_high_bytes)} stay on the chip"
    print(f"weights     {format_bytes(held.weight_bytes)}; {stays}")
    if held.streamed_high_bytes:
        took = "" if held.link_high_ms is None else f", {held.link_low_ms:.2g} to {held.link_high_ms:.2g} ms of it"
        low, high = format_bytes(held.streamed_low_bytes), format_bytes(held.streamed_high_bytes)
        print(f"streamed    {low} to {high} cross the link at every inference{took}")


def _show_outside(found: Plan) -> None:
    groups = Counter((one.operator, one.why, one.cures) for one in found.outside)
    if not groups:
        return
    rows = [
        (operator, str(count), why, ", ".join(cures) or "none known")
        for (operator, why, cures), count in groups.most_common()
    ]
    console.show_table(("operator", "times", "why it stays off", "rewrite"), rows, right=frozenset({1}))


def show_build(build: Build, beyond: tuple[str, ...]) -> None:
    """The command for the board and the reason for each part."""
    print(f"\non the board:\n  {build.command}")
    width = max(len(flag.text) for flag in build.flags) + 2
    for flag in build.flags:
        print(f"    {flag.text:<{width}}{flag.why}")
    if beyond:
        print("fp16 is left out, since it cannot hold:")
        for words in beyond[:5]:
            print(f"  {words}")


def show_compiled(compiled: Compiled | None, model: Path) -> None:
    """What the Edge TPU's compiler said, or how to run it."""
    if compiled is None:
        print(f"\n{edgetpu.NAME} is not installed here; on x86-64 Debian or Ubuntu:")
        for line in edgetpu.by_hand(model):
            print(f"  {line}")
        return
    print(f"\n{edgetpu.NAME} {compiled.version}: {compiled.mapped} of {compiled.total} operators on the Edge TPU")
    kept, sent = format_bytes(compiled.on_chip_bytes), format_bytes(compiled.streamed_bytes)
    print(f"weights     {kept} on the chip, {sent} streamed at every inference")
    rows = [(row.operator, str(row.count), row.status) for row in compiled.rows]
    console.show_table(("operator", "times", "status"), rows, right=frozenset({1}))
