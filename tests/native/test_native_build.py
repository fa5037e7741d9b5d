"""Compilers: which one is taken, what it is told, and what happens when it fails."""

import ctypes
import shutil
import subprocess
import sys

import numpy as np
import pytest

from shoestring.base.errors import ChildError, ChildTimeoutError, MissingExtraError, StorageError, UsageError
from shoestring.chips.host import this_machine
from shoestring.native import build as room
from shoestring.native.build import ARITHMETIC, WARNINGS, Compiler, build, find_compiler, flags, zig_triple
from shoestring.native.targets import target_named, targets

SUM = """
#include <math.h>
#include <stdint.h>
#include <string.h>
#define EXPORTED __attribute__((visibility("default")))
int32_t hidden(int32_t x);
int32_t hidden(int32_t x) { return x + 1; }
EXPORTED int32_t dot(const int8_t *a, const int8_t *b, int32_t n);
EXPORTED int32_t dot(const int8_t *a, const int8_t *b, int32_t n) {
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
    return hidden(sum);
}
/* For x = 1 + 2**-12 and z = -(1 + 2**-11), x * x + z is 0 when the product is rounded and 2**-24 when it is not. */
EXPORTED float twice_rounded(float x, float z);
EXPORTED float twice_rounded(float x, float z) { return x * x + z; }
EXPORTED float root(float x);
EXPORTED float root(float x) { return sqrtf(x); }
"""
PROGRAM = """
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
int32_t dot(const int8_t *a, const int8_t *b, int32_t n);
float twice_rounded(float x, float z);
float root(float x);
static int8_t a[1000], b[1000];
static void *work(void *answer) {
    *(int32_t *)answer = dot(a, b, 1000);
    return NULL;
}
int main(void) {
    for (int32_t i = 0; i < 1000; i++) a[i] = (int8_t)(i % 256 - 128), b[i] = (int8_t)(i * 7 % 256 - 128);
    pthread_t thread;
    int32_t sum = 0;
    volatile float x = 0x1.001p0f, z = -0x1.002p0f, y = 1.1f;
    if (pthread_create(&thread, NULL, work, &sum) || pthread_join(thread, NULL)) return 1;
    printf("%d %a %a\\n", (int)sum, (double)twice_rounded(x, z), (double)root(y));
    return 0;
}
"""
INDEX = np.arange(1000)
A, B = (INDEX % 256 - 128).astype(np.int8), (INDEX * 7 % 256 - 128).astype(np.int8)
DOT = int(A.astype(np.int64) @ B.astype(np.int64)) + 1
ROOT = float(np.sqrt(np.float32(1.1)))

LINUX = [row for row in targets() if row.system == "linux"]
BARE = [row for row in targets() if row.system == "bare"]
HOST = target_named("c")
GCC = Compiler(("cc",), "gcc", "PATH")
strict = (*WARNINGS, "-Werror")


def named(rows):
    return pytest.mark.parametrize("target", rows, ids=[row.name for row in rows])


@pytest.fixture
def sources(tmp_path):
    files = [tmp_path / "sum.c", tmp_path / "main.c"]
    for file, text in zip(files, (SUM, PROGRAM), strict=True):
        file.write_text(text)
    return files


@pytest.fixture(scope="session")
def zig():
    pytest.importorskip("ziglang")
    return Compiler((sys.executable, "-m", "ziglang", "cc"), "zig", "the package ziglang")


def runs_here(target):
    machine = this_machine()
    return target.runs_on(machine.isa, machine.arch)


def same_bits(path):
    """Calls the library as the program calls it."""
    library = ctypes.CDLL(str(path))
    library.twice_rounded.argtypes = [ctypes.c_float, ctypes.c_float]
    library.twice_rounded.restype = library.root.restype = ctypes.c_float
    library.root.argtypes = [ctypes.c_float]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (A, B)]
    words = library.dot(*pointers, 1000), library.twice_rounded(1 + 2**-12, -(1 + 2**-11)), library.root(1.1)
    return words == (DOT, 0.0, ROOT) and not hasattr(library, "hidden")


@named(LINUX)
def test_zig_builds_a_library(target, zig, sources, tmp_path):
    made = build(zig, target, sources[:1], tmp_path / "sum.so", "library", threads=True, extra_flags=strict)
    assert made.read_bytes()[:4] == b"\x7fELF"
    if runs_here(target):
        assert same_bits(made)


@named(LINUX)
def test_zig_builds_a_program_that_runs(target, zig, sources, tmp_path):
    made = build(zig, target, sources, tmp_path / "sum", "program", threads=True, extra_flags=strict)
    if not runs_here(target):
        if not target.emulator or shutil.which(target.emulator[0]) is None:
            pytest.skip(f"{target.name} runs neither on this machine nor under {target.emulator or 'an emulator'}")
        command = [*target.emulator, str(made)]
    else:
        command = [str(made)]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert [int(words[0]), *map(float.fromhex, words[1:])] == [DOT, 0.0, ROOT]


@named([row for row in LINUX if runs_here(row)])
def test_this_machines_cc_gives_the_same_bits(target, sources, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    assert same_bits(build(GCC, target, sources[:1], tmp_path / "sum.so", "library", extra_flags=strict))


@named(BARE)
def test_an_object_for_a_microcontroller(target, zig, sources, tmp_path):
    made = [build(zig, target, sources[:1], tmp_path / "zig.o", "object", extra_flags=strict)]
    cross = Compiler((target.cross_cc,), "gcc", "PATH")
    if shutil.which(target.cross_cc):
        made.append(build(cross, target, sources[:1], tmp_path / "gcc.o", "object", extra_flags=strict))
    for file in made:
        data = file.read_bytes()
        assert data[:5] == b"\x7fELF\x01"
        assert int.from_bytes(data[18:20], "little") == 40  # EM_ARM


def test_contraction_would_change_the_bits(sources, tmp_path):
    """The saboteur of `test_this_machines_cc_gives_the_same_bits`."""
    target = target_named("x86-64-avx2")
    if not runs_here(target) or shutil.which("cc") is None:
        pytest.skip("needs cc and AVX2 with FMA")
    options = (*strict, "-ffp-contract=fast")
    assert not same_bits(build(GCC, target, sources[:1], tmp_path / "sum.so", "library", extra_flags=options))


def test_a_build_is_repeatable(zig, sources, tmp_path):
    made = [build(zig, HOST, sources[:1], tmp_path / name, "library").read_bytes() for name in ("a", "b")]
    assert made[0] == made[1]


@named(targets())
def test_flags_that_decide_arithmetic_come_with_every_target(target):
    for compiler in (GCC, Compiler(("zig", "cc"), "zig", "")):
        words = flags(compiler, target, "object")
        assert set(ARITHMETIC) <= set(words)
        assert not {"-ffast-math", "-Ofast", "-funsafe-math-optimizations"} & set(words)


def test_a_microcontroller_has_no_libraries_and_no_threads(sources, tmp_path):
    compiler = Compiler(("arm-none-eabi-gcc",), "gcc", "PATH")
    with pytest.raises(UsageError, match="cortex-m4 has no operating system"):
        build(compiler, target_named("cortex-m4"), sources, tmp_path / "x.so", "library")
    with pytest.raises(UsageError, match="threads"):
        build(compiler, target_named("cortex-m4"), sources, tmp_path / "x", "program", threads=True)


def test_an_object_has_one_source(sources, tmp_path):
    with pytest.raises(UsageError, match="not of 2"):
        build(GCC, HOST, sources, tmp_path / "x.o", "object")


def test_programs_are_static_and_libraries_bind_to_an_old_glibc():
    pi = target_named("raspberry-pi-4")
    assert zig_triple(pi) == "aarch64-linux-gnu.2.17"
    assert zig_triple(pi, static=True) == "aarch64-linux-musl"
    assert zig_triple(target_named("armv7-neon"), static=True) == "arm-linux-musleabihf"


def test_a_failed_compilation_says_its_first_error_and_leaves_the_old_file(sources, tmp_path):
    out = tmp_path / "sum.so"
    out.write_bytes(b"old")
    sources[0].write_text("int f(void) { return missing_name; }\nint g(void) { return other; }\n")
    with pytest.raises(
        ChildError, match=r"cc failed on sum\.so \(exit 1\): .*sum\.c:1:22: error: .*missing_name"
    ) as caught:
        build(GCC, HOST, sources[:1], out, "library")
    assert "other" not in caught.value.message
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.c", "sum.c", "sum.so"]


def test_a_compiler_that_hangs_is_stopped(sources, tmp_path):
    slow = Compiler((sys.executable, "-c", "import time; time.sleep(60)"), "gcc", "--cc")
    with pytest.raises(ChildTimeoutError, match="longer than 1 s on sum"):
        build(slow, HOST, sources[:1], tmp_path / "sum.so", "library", timeout_seconds=1)


def test_a_missing_directory_is_an_error_of_storage(sources, tmp_path):
    with pytest.raises(StorageError):
        build(GCC, HOST, sources[:1], tmp_path / "absent" / "sum.so", "library")


class World:
    """Which commands are on PATH, and what each compiles for."""

    def __init__(self, monkeypatch, **machines):
        commands = {name.replace("_", "-"): machine for name, machine in machines.items()}
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(room.shutil, "which", lambda name: name if name in commands else None)
        monkeypatch.setattr(Compiler, "machine", lambda self: commands[self.command[0]])
        monkeypatch.setattr(room.platform, "machine", lambda: "x86_64")
        self.patch = monkeypatch
        self.zig(False)

    def zig(self, installed):
        self.patch.setattr(room.importlib.util, "find_spec", lambda name: object() if installed else None)

    def found(self, target, cc=None):
        return find_compiler(target_named(target), cc).command[0]


PC, PI, MCU = "x86_64-linux-gnu", "aarch64-linux-gnu", "arm-none-eabi"


def test_the_order_of_compilers(monkeypatch):
    world = World(monkeypatch, cc=PC, mine=PC, pi_gcc=PI, aarch64_linux_gnu_gcc=PI)
    assert world.found("x86-64-avx2") == "cc"
    assert world.found("raspberry-pi-4") == "aarch64-linux-gnu-gcc"
    world.zig(True)
    assert world.found("x86-64-avx2") == world.found("raspberry-pi-4") == sys.executable
    monkeypatch.setenv("CC", "mine -pipe")
    assert world.found("x86-64-avx2") == "mine"
    assert world.found("raspberry-pi-4") == sys.executable  # $CC compiles for this machine only
    assert world.found("raspberry-pi-4", "pi-gcc") == "pi-gcc"


def test_a_microcontroller_takes_its_cross_compiler_first(monkeypatch):
    world = World(monkeypatch, cc=PC, arm_none_eabi_gcc=MCU)
    world.zig(True)
    assert world.found("cortex-m7") == "arm-none-eabi-gcc"


def test_a_compiler_for_another_machine_is_refused(monkeypatch):
    world = World(monkeypatch, cc=PC, arm_none_eabi_gcc=MCU)
    with pytest.raises(UsageError, match=r"'cc' compiles for x86_64-linux-gnu, not for the target armv8-cortex-a72"):
        world.found("raspberry-pi-4", "cc")
    with pytest.raises(UsageError, match="arm-none-eabi, not for the target armv7-neon"):
        world.found("armv7-neon", "arm-none-eabi-gcc")
    with pytest.raises(UsageError, match="there is no compiler 'icc'"):
        world.found("c", "icc")
    with pytest.raises(UsageError, match="cannot be read"):
        world.found("c", "'")


def test_no_compiler_names_the_package_that_brings_one(monkeypatch):
    world = World(monkeypatch, cc=PC)
    with pytest.raises(MissingExtraError) as caught:
        world.found("raspberry-pi-4")
    assert caught.value.hint == "pip install 'shoestring[native]'"


@pytest.mark.parametrize("words", ["zig cc", "/opt/zig/zig cc", "python -m ziglang cc"])
def test_zig_is_known_by_its_name(words, monkeypatch):
    monkeypatch.setattr(room.shutil, "which", lambda name: name)
    assert find_compiler(HOST, words).family == "zig"


def test_versions(zig):
    assert zig.version().startswith("zig 0.")
    assert "cc" in GCC.version()
