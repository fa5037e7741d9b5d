"""A bad bundle in the first wave of a simulated fleet: who meets it, what halts it, and when all run the mended one.

    python benchmarks/fleet.py --seeds 50 --devices 10000

Each seed is a fleet in virtual time, by the rules that devices and workshop follow in earnest. 30 % of the devices have
no network for one to three days, the server is down for a day, one clock in ten is wrong for days: at 1970, an hour or
ten years off, or going to and fro. The bad bundle fails on half of the devices. Ends with 1 when a device outside the
first wave ran it, a device had nothing to run or took an older release, a report was lost or came twice, or the fleet
did not come to the mended bundle; or when the saboteur, who promotes without asking for reports, does no harm.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from results import align
from shoestring.fleet.simulated.fleet import Fleet, Outcome, Plan

HOUR_S, DAY_S = 3600, 86_400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--devices", type=int, default=10_000)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    outcomes = []
    for seed in range(1, arguments.seeds + 1):
        fleet = Fleet(Plan(seed, arguments.devices))
        outcomes.append(fleet.run())
        print(f"seed {seed}: {outcomes[-1]}", file=sys.stderr, flush=True)
    saboteur = Fleet(Plan(1, arguments.devices // 10, halted=False)).run()
    wrong = [seed for seed, one in enumerate(outcomes, start=1) if not sound(one)]
    print(table(outcomes, saboteur, arguments.devices))
    print(f"{len(outcomes)} seeds of {arguments.devices} devices, {time.monotonic() - began_s:.0f} s")
    if wrong:
        print(f"FAILED: seeds {wrong}")
    if saboteur.outside == 0:
        print("FAILED: the saboteur did no harm")
    return int(bool(wrong) or saboteur.outside == 0)


def sound(one: Outcome) -> bool:
    """Whether all that was promised held."""
    kept = one.outside == one.dark == one.older == 0 and one.kept == one.reports
    return kept and one.halts > 0 and one.converged_s is not None


def table(outcomes: list[Outcome], saboteur: Outcome, devices: int) -> str:
    """What came of all seeds."""

    def spread(values: list[float], unit: str = "") -> str:
        return f"{min(values):,.0f} to {max(values):,.0f}, median {statistics.median(values):,.0f}{unit}"

    rows = [
        ("what", "seen"),
        ("devices that ran the bad bundle", spread([one.took_bad for one in outcomes])),
        ("of them outside the first wave", f"{sum(one.outside for one in outcomes)} in all seeds"),
        ("devices that it failed on", spread([one.failed for one in outcomes])),
        ("from its publication to its revocation", spread([(one.revoked_s or 0) / HOUR_S for one in outcomes], " h")),
        ("until all run the mended one", spread([(one.converged_s or 0) / HOUR_S for one in outcomes], " h")),
        ("moments with nothing to run", f"{sum(one.dark for one in outcomes)}"),
        ("devices that took an older release", f"{sum(one.older for one in outcomes)}"),
        ("reports made", f"{sum(one.reports for one in outcomes):,}"),
        ("of them kept once", f"{sum(one.kept for one in outcomes):,}"),
        ("looks of devices", f"{sum(one.looks for one in outcomes):,}"),
        (f"saboteur, {devices // 10} devices: ran the bad bundle outside the first wave", f"{saboteur.outside}"),
    ]
    return align(rows)


if __name__ == "__main__":
    sys.exit(main())
