"""What a process holds, as Linux tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shoestring.base.resident import Watch, available_bytes, peak_of

MB = 1_000_000
HOLD = "import sys; held = bytearray(b'1') * 50_000_000; print('there', flush=True); sys.stdin.read()"


def test_a_watch_follows_a_process_to_its_end():
    before = len(list(Path("/proc/self/fd").iterdir()))
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        watch = Watch(process.pid)
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        held, peak = watch.resident_bytes(), watch.peak_bytes()
        assert held is not None and peak is not None
        assert 50 * MB < held < 120 * MB and peak >= held and peak == peak_of(process.pid)
        process.stdin.close()
        process.wait()
        assert watch.resident_bytes() is None and watch.peak_bytes() is None
    watch.close()
    watch.close()
    assert watch.resident_bytes() is None and watch.peak_bytes() is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_process_that_is_not_there_has_no_memory():
    watch = Watch(2**22 + 1)  # above the largest process number of Linux
    assert watch.resident_bytes() is None and watch.peak_bytes() is None
    watch.close()


def test_what_is_available_lies_below_what_is_installed():
    available = available_bytes()
    assert available is not None
    assert 0 < available < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
