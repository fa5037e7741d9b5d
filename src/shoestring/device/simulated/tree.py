"""A folder that looks like a board's /sys and /proc, for the real sensors to read; and faults to put into it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.device.simulated.kinds import ANSWERS, COMMAND, CORES, KINDS, OFFLINE, POLICY, Counters, bits_now

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.device.simulated.kinds import Shown

FAULTS = ("gone", "garbage", "-256000", "-89000", "1000000000", "0", "denied", "stuck", "blocks")
"""What can be wrong with a sensor's file: not there; text; a number that it says; not readable; always the same; a read
that does not return."""

UNREADABLE = "/proc/self/mem"
"""A file whose first byte nobody can read, not even root."""

TICKS_S = 100
"""Of /proc/stat, 1/s."""

SCRIPT = '#!/bin/sh\nexec cat "{folder}/$1"\n'


class FakeTree:
    """The files of one board.

    Args:
        root: an empty folder.
        kind: one of KINDS.
        energy_range_j: where the energy counter of the package wraps; by default as on real ones.

    Raises:
        UsageError: no such kind.
    """

    def __init__(self, root: Path, kind: str, *, energy_range_j: float = 262_143.328850) -> None:
        if kind not in KINDS:
            raise UsageError(f"no kind of board {kind!r}", hint=f"one of {', '.join(KINDS)}")
        self.root, self.kind = root, KINDS[kind]
        self._range_uj = round(energy_range_j * 1e6)
        self._energy_uj = 0
        self._bits = 0
        self._ticks, self._idle_ticks = 0.0, 0.0
        self._texts: dict[str, str] = {}
        self._spoiled: dict[str, str] = {}

    def show(
        self,
        state: Shown,
        seconds: float = 1.0,
        *,
        load: float = 0.0,
        pressure: float = 0.0,
        memory_free_bytes: int = 1 << 30,
        on_battery: bool = True,
    ) -> None:
        """Write what is true now.

        Args:
            state: of the board.
            seconds: since the last call.
            load: share of the processor that was busy since, 0 to 1.
            pressure: percent of time that tasks waited.
            memory_free_bytes: of the system; whole KiB are shown.
            on_battery: whether the mains are off, where there is a battery.
        """
        self._energy_uj = (self._energy_uj + round(state.watts * seconds * 1e6)) % self._range_uj
        self._bits |= bits_now(state) << 16
        ticks = seconds * TICKS_S * CORES
        self._ticks, self._idle_ticks = self._ticks + ticks, self._idle_ticks + ticks * (1 - load)
        counters = Counters(self._energy_uj, self._range_uj, self._bits, on_battery)
        files = self.kind.files(state, counters) | self._kernel_files(state, pressure, memory_free_bytes)
        for name, text in files.items():
            self._put(name, text)
        if any(name.startswith(ANSWERS) for name in files):
            self._command()

    def spoil(self, field: str, fault: str) -> None:
        """Break the sensor that fills a field of `Readings`, until `heal`.

        Args:
            field: one that this kind of board has a sensor for.
            fault: one of FAULTS, or any text that the sensor shall say.

        Raises:
            UsageError: the board has no such sensor.
        """
        name = self._sensor(field)
        self.heal(field)
        self._spoiled[name] = fault
        path = self.root / name
        if fault == "stuck":
            return
        path.unlink()
        if fault == "denied":
            path.symlink_to(UNREADABLE)
        elif fault == "blocks":
            os.mkfifo(path)
        elif fault == "garbage":
            path.write_text("\ufffd\x07 none\n")
        elif fault != "gone":
            path.write_text(f"{fault}\n")

    def heal(self, field: str) -> None:
        """Let the sensor speak again; a read that blocks returns with what it says."""
        name = self._sensor(field)
        fault = self._spoiled.pop(name, None)
        path = self.root / name
        if fault == "blocks":
            _feed(path, self._texts[name])
        if fault is not None:
            path.unlink(missing_ok=True)
            self._put(name, self._texts[name])

    def _sensor(self, field: str) -> str:
        if field not in self.kind.sensors:
            raise UsageError(
                f"this kind of board has no sensor for {field!r}", hint=f"it has {', '.join(self.kind.sensors)}"
            )
        return self.kind.sensors[field]

    def _kernel_files(self, state: Shown, pressure: float, memory_free_bytes: int) -> dict[str, str]:
        full = self.kind.full_khz
        now = round(full * state.clock)
        files = {
            "proc/pressure/cpu": f"some avg10={pressure:.2f} avg60=0.00 avg300=0.00 total=1\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
            "proc/meminfo": f"MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable:   {memory_free_bytes // 1024} kB",
            "proc/stat": f"cpu  {round(self._ticks - self._idle_ticks)} 0 0 {round(self._idle_ticks)} 0 0 0 0 0 0",
        }
        for core in range(CORES):
            policy = POLICY.format(core=core)
            files[f"{policy}cpuinfo_max_freq"] = str(full)
            files[f"{policy}scaling_max_freq"] = str(full if self.kind.firmware_caps else now)
            if not self.kind.command_tells_clock:
                files[f"{policy}cpuinfo_cur_freq"] = str(now)
        return files

    def _put(self, name: str, text: str) -> None:
        """Whole or not at all: a reader beside us must not see half a number."""
        before = self._texts.get(name)
        self._texts[name] = text
        if name in self._spoiled:
            return
        path = self.root / name
        if before is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif before == text and path.exists():
            return
        if text == OFFLINE:
            path.unlink(missing_ok=True)
            path.symlink_to(UNREADABLE)
            return
        new = path.with_name(path.name + ".new")
        new.write_text(text + "\n")
        new.replace(path)

    def _command(self) -> None:
        path = self.root / COMMAND
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SCRIPT.format(folder=self.root / ANSWERS))
            path.chmod(0o755)


def _feed(path: Path, text: str) -> None:
    """Give a blocked reader its answer, if there is one."""
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads
        return
    try:
        os.write(pipe, text.encode())
    finally:
        os.close(pipe)


__all__ = ["FAULTS", "UNREADABLE", "FakeTree"]
