"""The counting of instructions on emulated boards, against a program whose loop is known."""

import subprocess
from collections import Counter

import pytest

from emulation import boards, cycles
from shoestring.native.build import build, find_compiler
from shoestring.native.targets import target_named

LOOP = """
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static void work(void) {
    for (int i = 0; i < 1000; i++) __asm volatile(BODY);
}
int main(int count, char **words) {
    const int n = count > 1 ? atoi(words[1]) : 1;
    if (count > 2) syscall(SYS_getpriority, 0, 0x51050001);
    for (int i = 0; i < n; i++) work();
    if (count > 2) syscall(SYS_getpriority, 0, 0x51050002);
    for (int i = 0; i < 100; i++) work();
    return 0;
}
"""
BODY, LOOPED = 20, 1000  # instructions in the loop's body, apart from the loop itself; rounds of the loop
LONGEST_LOOP = 4  # instructions that a compiler may spend on the loop itself

CORES = {
    "cortex-a53": "coral-dev-board",
    "cortex-a57": "jetson-nano",
    "cortex-a72": "raspberry-pi-4",
    "cortex-a76": "raspberry-pi-5",
    "cortex-a7": "armv7-neon",
}
SDOT = """
int main(void) {
    __asm volatile("sdot v0.4s, v1.16b, v2.16b" ::: "v0");
    return 0;
}
"""


def needs_counting(cpu):
    if not boards.can_count(boards.CORES[cpu]):
        pytest.skip(f"{boards.CORES[cpu]} (package qemu-user) or gcc is not installed")


def compiled(text, target, folder, *flags):
    pytest.importorskip("ziglang")
    source = folder / "program.c"
    source.write_text(text)
    row = target_named(target)
    flags = ["-D_GNU_SOURCE", *flags]
    return str(build(find_compiler(row), row, [source], folder / "program", "program", extra_flags=flags))


def loop(cpu, folder):
    return compiled(LOOP, CORES[cpu], folder, f'-DBODY="{"nop;" * BODY}"')


def is_a_round_of_work(counts):
    return BODY * LOOPED <= boards.instructions(counts) <= (BODY + LONGEST_LOOP) * LOOPED + 100


@pytest.mark.parametrize("cpu", CORES)
def test_one_more_repetition_counts_its_loop_alone(cpu, tmp_path):
    needs_counting(cpu)
    counts = boards.counts_of_one_more(cpu, loop(cpu, tmp_path), ["1"], ["4"], 3)
    assert is_a_round_of_work(counts)


@pytest.mark.parametrize("cpu", ["cortex-a72", "cortex-a7"])
def test_marks_count_what_stands_between_them(cpu, tmp_path):
    needs_counting(cpu)
    counts = boards.counted([boards.CORES[cpu], "-cpu", cpu], [loop(cpu, tmp_path), "1", "marks"])
    assert is_a_round_of_work(counts)


def test_counts_are_repeatable(tmp_path):
    needs_counting("cortex-a53")
    program = loop("cortex-a53", tmp_path)
    first, second = (boards.counted(["qemu-aarch64", "-cpu", "cortex-a53"], [program]) for _ in range(2))
    assert first == second


def test_estimated_cycles_of_independent_nops(tmp_path):
    needs_counting("cortex-a72")
    if cycles.tool("llvm-mca") is None or cycles.tool("llvm-mc") is None:
        pytest.skip("llvm is not installed")
    counts = boards.counts_of_one_more("cortex-a72", loop("cortex-a72", tmp_path), ["1"], ["4"], 3)
    found = cycles.estimate("cortex-a72", counts)
    assert found.modelled >= cycles.SHARE
    assert BODY * LOOPED / 8 < found.cycles < BODY * LOOPED * 2  # between eight instructions a cycle and half of one


@pytest.mark.parametrize(("cpu", "runs"), [("cortex-a53", False), ("cortex-a72", False), ("cortex-a76", True)])
def test_a_core_refuses_instructions_that_it_lacks(cpu, runs, tmp_path):
    """The saboteur: without this, a program for the wrong core would seem to pass."""
    if not boards.has_emulator(cpu):
        pytest.skip("qemu-user-static is not installed")
    program = compiled(SDOT, "raspberry-pi-5", tmp_path)
    code = subprocess.run([*boards.emulator(cpu), program], check=False, capture_output=True).returncode
    assert (code == 0) == runs


def test_the_heaviest_blocks_come_first_until_the_share_is_reached():
    counts = Counter({("aa", "bb"): 10, ("cc",): 70, ("dd",): 10})
    assert boards.instructions(counts) == 100
    assert boards.heaviest(counts, 0.7) == [(("cc",), 70)]
    assert len(boards.heaviest(counts, 0.95)) == 3


def test_a_difference_drops_what_does_not_repeat():
    few = Counter({("aa",): 5, ("start",): 9})
    many = Counter({("aa",): 35, ("start",): 10})
    assert boards.difference(few, many, 3) == Counter({("aa",): 10})


def test_blocks_of_the_same_instructions_are_one():
    assert boards.read_counts("3 aa bb\n4 aa bb\n1 cc\n") == Counter({("aa", "bb"): 7, ("cc",): 1})
