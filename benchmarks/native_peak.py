"""What the processor could do at most: multiply-accumulates a second of `vpdpbusd` and of `vfmadd` on one core."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <immintrin.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) \
    X(18) X(19) X(20) X(21) X(22) X(23)
#define DECLARE(i) __m512i a##i = _mm512_set1_epi32(i);
#define DOT(i) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(a##i) : "v"(x), "v"(y));
#define FMA(i) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(a##i) : "v"(x), "v"(y));
#define FOLD(i) s = _mm512_add_epi32(s, a##i);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    const long rounds = 2000000;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(argc > 1 ? atoi(argv[1]) : 0, &cores);
    sched_setaffinity(0, sizeof cores, &cores);
    __m512i x = _mm512_set1_epi8(1), y = _mm512_set1_epi8(1), s = _mm512_setzero_si512();
    double best[2] = {0, 0};
    for (int trial = 0; trial < 25; trial++) {
        CHAINS(DECLARE)
        double start = now();
        for (long r = 0; r < rounds; r++) { CHAINS(DOT) }
        double rate = 24.0 * 64 * (double)rounds / (now() - start);
        best[0] = rate > best[0] ? rate : best[0];
        CHAINS(FOLD)
        start = now();
        for (long r = 0; r < rounds; r++) { CHAINS(FMA) }
        rate = 24.0 * 16 * (double)rounds / (now() - start);
        best[1] = rate > best[1] ? rate : best[1];
        CHAINS(FOLD)
    }
    printf("%.4f %.4f %d\n", best[0] / 1e9, best[1] / 1e9, _mm512_reduce_add_epi32(s));
    return 0;
}
"""
FLAGS = ("-O2", "-mavx512f", "-mavx512bw", "-mavx512vnni")


@dataclass(frozen=True)
class Peak:
    """Of one core, 1e9 multiply-accumulates a second: 8-bit integers and float32, 512-bit registers, no memory."""

    int8_gmacs: float
    fp32_gmacs: float

    def share(self, kind: str, macs: int, ms: float, cores: int) -> float:
        """The part of the peak that `macs` in `ms` come to.

        Args:
            kind: `int8` or `fp32`.
            cores: that worked.
        """
        return macs / (ms * 1e6) / cores / (self.int8_gmacs if kind == "int8" else self.fp32_gmacs)


def measure_peak(core: int, realtime: bool) -> Peak | None:
    """Best of 25 trials on `core`; None where the processor has no AVX512-VNNI or there is no C compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None or "avx512_vnni" not in Path("/proc/cpuinfo").read_text():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        source, program = Path(scratch) / "peak.c", Path(scratch) / "peak"
        source.write_text(SOURCE)
        subprocess.run([compiler, *FLAGS, "-o", str(program), str(source)], check=True)
        priority = ["chrt", "-r", "1"] if realtime else []
        answer = subprocess.run([*priority, str(program), str(core)], check=True, capture_output=True, text=True)
    int8, fp32, _ = answer.stdout.split()
    return Peak(float(int8), float(fp32))
