"""Measures this machine: a chip file and rows that the cost model calibrates on."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shoestring._version import __version__
from shoestring.base import disk
from shoestring.base.errors import StorageError
from shoestring.chips.host import arm_cores, this_machine
from shoestring.chips.own_rows import networks_path, write_networks, write_rows
from shoestring.device import sensors
from shoestring.domain.chip import Chip
from shoestring.domain.cost import Machine
from shoestring.domain.features import Features
from shoestring.domain.measured import Row
from shoestring.probing.chip_file import Look, chip_name, chip_text, describe_chip
from shoestring.probing.nets import SUITE, Net
from shoestring.probing.peaks import Speed, measure_peaks
from shoestring.probing.suite import make_suite
from shoestring.probing.timing import PROTOCOL, Timed, time_entries
from shoestring.runtimes import registry

MOST_THREADS = 16
USUAL = ("onnxruntime", "native")
"""Runtimes that are timed unless others are asked for, for which the suite is converted: each takes half a minute."""
IDLE_SECONDS = 1.0
COMPILE_SECONDS = 80.0
ALL_SECONDS = 165.0
"""After which nothing more is compiled, and nothing more is timed: the whole takes less than three minutes."""
INTEL_CORES = {"76": "Airmont", "150": "Tremont", "156": "Tremont", "190": "Gracemont"}
"""Model of family 6 -> core, of small Intel processors: arch/x86/include/asm/intel-family.h of Linux."""
BUSY_SHARE = 0.25
"""Of the cores: where other processes take more, figures are too low, and marked."""


@dataclass(frozen=True)
class Probed:
    """A measured machine.

    Args:
        chip: its description.
        rows: measurements.
        networks: what was measured, by (model, input).
        speeds: bandwidth and peaks at every thread count.
        seconds: that it took.
        notes: what was left out and why.
    """

    chip: Chip
    rows: tuple[Row, ...]
    networks: dict[tuple[str, str], Features]
    speeds: tuple[Speed, ...]
    seconds: float
    notes: tuple[str, ...]

    def save(self, chip_path: Path, rows_path: Path) -> Path:
        """Write the chip file, the rows, and beside these the networks; returns the path of the last.

        Raises:
            StorageError: the disk refused.
        """
        beside = networks_path(rows_path)
        write_networks(beside, self.networks)
        write_rows(rows_path, self.rows)
        disk.write_text(chip_path, chip_text(self.chip))
        return beside


def probe(
    name: str | None = None,
    *,
    runtimes: Sequence[str] | None = None,
    cc: str | None = None,
    nets: Sequence[Callable[[], Net]] = SUITE,
    progress: Callable[[str], None] = lambda _: None,
) -> Probed:
    """Measure this machine.

    Args:
        name: of the chip; None makes one of the processor's.
        runtimes: to time; None takes those of USUAL that are installed.
        cc: compiler, or None to look for one.
        nets: of the suite.
        progress: called before each step.

    Raises:
        UsageError: an unknown runtime.
        StorageError: /proc or the disk refuses.
        EngineError: the meter cannot run.
    """
    start = time.monotonic()
    machine = this_machine()
    wanted = tuple(runtimes) if runtimes is not None else tuple(one for one in USUAL if one in registry.installed())
    for runtime in wanted:
        registry.get(runtime)
    threads = tuple(sorted({1, min(machine.cores, MOST_THREADS)}))
    name = chip_name(machine.name) if name is None else name
    busy_note = describe_busy(Path("/proc/loadavg").read_text(), machine.cores)
    progress("reading the sensors at rest")
    idle = _watch(lambda: time.sleep(IDLE_SECONDS))
    with tempfile.TemporaryDirectory(prefix="shoestring-probe-") as folder:
        suite = make_suite(machine, wanted, Path(folder), progress, nets, cc, start + COMPILE_SECONDS)
        progress("measuring bandwidth and peaks")
        speeds: list[Speed] = []
        busy = _watch(lambda: speeds.extend(measure_peaks(suite.meter, threads, machine.memory_bytes)))
        timed, failed = time_entries(suite.entries, threads, progress, start + ALL_SECONDS)
    date = datetime.now(UTC).date().isoformat()
    rows = make_rows(name, machine, timed, suite.networks, date, "busy" if busy_note else "")
    notes = (*([busy_note] if busy_note else []), *suite.notes, *failed)
    chip = describe_chip(name, machine, _look(machine, idle, busy), speeds, rows, date)
    return Probed(chip, rows, suite.networks, tuple(speeds), time.monotonic() - start, notes)


def make_rows(
    chip: str,
    machine: Machine,
    timed: Sequence[Timed],
    networks: dict[tuple[str, str], Features],
    date: str,
    flags: str = "",
) -> tuple[Row, ...]:
    """The rows of the table of measurements."""
    rows = []
    for one in timed:
        found = networks[one.entry.model, one.entry.input]
        rows.append(
            Row(
                chip=chip,
                model=one.entry.model,
                input=one.entry.input,
                runtime=one.entry.runtime,
                device="cpu",
                precision=one.entry.precision,
                threads=one.threads,
                latency_ms=round(one.latency_ms, 6),
                fps=None,
                tokens_s=None,
                watts=None,
                ghz=None,
                version=registry.get(one.entry.runtime).version(),
                date=date,
                conditions=PROTOCOL,
                flags=flags,
                source=f"shoestring probe {__version__} on {machine.name}",
                macs_m=round(found.macs / 1e6, 6),
                params_m=round(found.params / 1e6, 6),
            )
        )
    return tuple(rows)


@dataclass(frozen=True)
class _Watched:
    """Sensors after some work, and what the package drew during it."""

    reading: sensors.Reading
    package_watts: float | None


def _watch(work: Callable[[], object]) -> _Watched:
    before, start = sensors.read(), time.monotonic()
    work()
    after = sensors.read()
    return _Watched(after, sensors.package_watts(before, after, time.monotonic() - start))


def _look(machine: Machine, idle: _Watched, busy: _Watched) -> Look:
    cpuinfo = Path("/proc/cpuinfo").read_text(errors="replace")
    kinds = core_kinds(cpuinfo, machine.name)[: machine.cores] or (machine.name,)
    kinds += (kinds[-1],) * (machine.cores - len(kinds))
    return Look(
        cores=kinds,
        allowed_ghz=tuple(sensors.highest_ghz(core) for core in range(len(kinds))),
        available_bytes=available_bytes(Path("/proc/meminfo").read_text()),
        idle_watts=idle.reading.board_watts,
        load_watts=busy.reading.board_watts,
        heat=describe_heat(idle.reading, busy.reading, idle.package_watts, busy.package_watts),
    )


def core_kinds(cpuinfo: str, fallback: str) -> tuple[str, ...]:
    """Kind of every core: its name where we know one, else `fallback`."""
    blocks = [block for block in re.split(r"\n\s*\n", cpuinfo) if re.search(r"^processor\s*:", block, re.MULTILINE)]
    return tuple((arm_cores(block) or (_intel_core(block) or fallback,))[0] for block in blocks)


def _intel_core(block: str) -> str | None:
    found = dict(re.findall(r"^(vendor_id|cpu family|model)\s*:\s*(\S+)", block, re.MULTILINE))
    if (found.get("vendor_id"), found.get("cpu family")) != ("GenuineIntel", "6"):
        return None
    return INTEL_CORES.get(found.get("model", ""))


def describe_busy(loadavg: str, cores: int) -> str | None:
    """A warning where other processes keep cores busy, by the load of the last minute; None on a quiet machine."""
    load = float(loadavg.split()[0])
    if load <= BUSY_SHARE * cores:
        return None
    return (
        f"this machine was busy before the probe began (load {load:.2f} on {cores} cores): its figures are too low, "
        "and its rows are flagged `busy`; stop what else runs and probe again"
    )


def available_bytes(meminfo: str) -> int:
    """MemAvailable of /proc/meminfo. Raises StorageError."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    if match is None:
        raise StorageError("/proc/meminfo has no MemAvailable line", hint="Linux 3.14 or later has it")
    return int(match[1]) * 1024


def describe_heat(
    idle: sensors.Reading, busy: sensors.Reading, idle_package: float | None, busy_package: float | None
) -> str | None:
    """What the sensors said, in words; None where there are none."""
    words = []
    if idle.celsius is not None and busy.celsius is not None:
        words.append(f"{idle.celsius:.1f} C at rest, {busy.celsius:.1f} C after the load of the probe")
    if idle_package is not None and busy_package is not None:
        words.append(
            f"the processor package drew {idle_package:.2f} W at rest and {busy_package:.2f} W under load (RAPL; not "
            "what the board draws at its plug)"
        )
    return "; ".join(words) or None


__all__ = ["Probed", "available_bytes", "core_kinds", "describe_busy", "describe_heat", "make_rows", "probe"]
