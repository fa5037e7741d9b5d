"""What compiled programs promise as C: clean text, no libc, one arena, states side by side, threads, the same bits."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from native import programs
from shoestring.chips.host import this_machine
from shoestring.native import plan as planning
from shoestring.native.build import WARNINGS
from shoestring.native.compiling import write_sources
from shoestring.native.emit import source as emitting
from shoestring.native.form import Program
from shoestring.native.interpret import run
from shoestring.native.storage import storage_of
from shoestring.native.targets import Target, target_named

SIDE = Path(__file__).parent
GCC = shutil.which("gcc")
TARGETS = ("c", "x86-64-avx512vnni")
ALLOWED = {"memcpy", "memset", "memmove", "memcmp", "fmaf", "sqrtf"}
STRICT = ("-std=c11", "-ffp-contract=off", "-fno-math-errno", *WARNINGS, "-Werror")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SEEDS = (0, 1, 2, 3)

# The sanitizers come with gcc: the clang inside ziglang has no runtime of theirs to link. README asks for a C compiler.
needs_gcc = pytest.mark.skipif(GCC is None, reason="needs gcc")


@dataclass(frozen=True)
class Case:
    """A program with inputs, and what the interpreter answers."""

    program: Program
    feeds: dict[str, np.ndarray]

    def wanted(self, target: Target) -> dict[str, np.ndarray]:
        return run(self.program, self.feeds, fused=target.fused)


def case(seed: int) -> Case:
    rng = np.random.default_rng((77, seed))
    program = programs.network(rng)
    return Case(program, programs.feeds(program, rng))


def runs_here(target: Target) -> bool:
    machine = this_machine()
    return target.runs_on(machine.isa, machine.arch)


def compilers() -> list[tuple[str, ...]]:
    found = [] if GCC is None else [(GCC,)]
    if importlib.util.find_spec("ziglang") is not None:
        found.append((sys.executable, "-m", "ziglang", "cc"))
    return found


def processor(command: tuple[str, ...], target: Target) -> tuple[str, ...]:
    return target.gcc_flags if len(command) == 1 else ("-fno-sanitize=undefined", *target.zig_flags)


def compile_strictly(command: tuple[str, ...], target: Target, text: Path, out: Path, *more: str) -> Path:
    done = subprocess.run(
        [*command, *STRICT, *processor(command, target), f"-I{text.parent}", *more, "-c", str(text), "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
        cwd=text.parent,
    )
    assert done.returncode == 0, done.stderr[:2000]
    return out


def contract(case: Case, target: Target, threads: int, folder: Path, *flags: str) -> dict[str, np.ndarray]:
    """Build contract.c with the program, run it, and read its answers."""
    program = case.program
    write_sources(program, target, threads, folder)

    def sizes(ports) -> str:
        return ", ".join(str(program.values[p.value].count * np.dtype(p.dtype).itemsize) for p in ports)

    text = (SIDE / "contract.c").read_text()
    filled = {"NAME": program.name, "UPPER": program.name.upper()}
    filled |= {"INPUT_BYTES": sizes(program.inputs), "OUTPUT_BYTES": sizes(program.outputs)}
    for key, value in filled.items():
        text = text.replace(f"@{key}@", value)
    (folder / "contract.c").write_text(text)
    sources = ["contract.c", f"{program.name}.c", f"{program.name}_weights.S"]
    command = [str(GCC), "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-DSHOESTRING_WEIGHTS_LINKED"]
    command += [*target.gcc_flags, *flags, "-I.", *sources, "-o", "contract", "-lm", "-pthread"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[:2000]
    inputs = [f"input{i}.bin" for i in range(len(program.inputs))]
    outputs = [f"output{i}.bin" for i in range(len(program.outputs))]
    for file, port in zip(inputs, program.inputs, strict=True):
        case.feeds[port.name].tofile(folder / file)
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        ["./contract", *inputs, *outputs], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[:3000]
    return {
        port.name: np.fromfile(folder / file, port.dtype).reshape(program.values[port.value].shape)
        for file, port in zip(outputs, program.outputs, strict=True)
    }


def assert_same_bits(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name].view(np.uint8), np.ascontiguousarray(array).view(np.uint8))


@pytest.mark.parametrize("command", compilers(), ids=lambda command: Path(command[-1]).name)
@pytest.mark.parametrize("name", TARGETS)
def test_the_text_is_clean_and_needs_no_libc(name: str, command: tuple[str, ...], tmp_path: Path) -> None:
    if name != "c" and this_machine().arch != "x86_64":
        pytest.skip("needs a compiler for x86-64")
    target = target_named(name)
    for seed in SEEDS[:3]:
        program = case(seed).program
        for threads in (1, 2):
            folder = tmp_path / f"{seed}_{threads}"
            folder.mkdir()
            write_sources(program, target, threads, folder)
            made = compile_strictly(command, target, folder / f"{program.name}.c", folder / "made.o", "-O2")
            listed = subprocess.run(["nm", "-u", made], capture_output=True, text=True, check=True).stdout
            unknown = set(re.findall(r"\bU (\S+)", listed)) - ALLOWED - {"_GLOBAL_OFFSET_TABLE_"}
            others = {one for one in unknown if not (threads == 2 and one.startswith(("pthread_", "sched_yield")))}
            assert not others, f"{seed}: {sorted(others)}"


@needs_gcc
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", SEEDS)
def test_sanitizers_find_nothing_and_bits_agree(seed: int, name: str, tmp_path: Path) -> None:
    target = target_named(name)
    if not runs_here(target):
        pytest.skip(f"this processor does not run {name}")
    one = case(seed)
    assert_same_bits(contract(one, target, 1 + seed % 2, tmp_path, *SANITIZED), one.wanted(target))


@needs_gcc
@pytest.mark.parametrize("seed", SEEDS)
def test_two_threads_give_the_bits_of_one(seed: int, tmp_path: Path) -> None:
    target = target_named("x86-64-avx512vnni" if runs_here(target_named("x86-64-avx512vnni")) else "c")
    one = case(10 + seed)
    assert_same_bits(contract(one, target, 2, tmp_path, "-O2"), one.wanted(target))


@needs_gcc
def test_the_race_detector_finds_nothing(tmp_path: Path) -> None:
    target = target_named("c")
    one = case(5)
    assert_same_bits(contract(one, target, 2, tmp_path, "-g", "-O1", "-fsanitize=thread"), one.wanted(target))


@needs_gcc
@pytest.mark.parametrize("fused", [True, False], ids=["everything", "nothing"])
def test_how_much_is_fused_does_not_matter(fused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_named("c")

    def forced(program: Program, external: frozenset[str]) -> planning.Plan:
        storages = {name: storage_of(value, planning._border(name, program)) for name, value in program.values.items()}
        return planning._plan_at(program, storages, external, -1 if fused else 1 << 60)

    monkeypatch.setattr(emitting, "plan", forced)
    longest = 0
    for seed in (20, 22):
        one, folder = case(seed), tmp_path / str(seed)
        folder.mkdir()
        emitted = write_sources(one.program, target, 1, folder)
        longest = max(longest, *(len(group.ops) for group in emitted.plan.groups))
        assert_same_bits(contract(one, target, 1, folder, *SANITIZED), one.wanted(target))
    assert longest > 1 if fused else longest == 1


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_program_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    texts = []
    for round_ in ("a", "b"):
        folder = tmp_path / round_
        folder.mkdir()
        write_sources(case(3).program, target_named(name), 2, folder)
        texts.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert texts[0] == texts[1]


@needs_gcc
def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    target = target_named("c")
    programs_ = [case(seed).program for seed in (1, 2)]
    emitted = [emitting.emit(program, target, 1) for program in programs_]
    # The identity follows the 24 bytes of magic, byte order and length.
    assert emitted[0].weights[24:56] != emitted[1].weights[24:56]
    again = emitting.emit(programs_[0], target_named("x86-64-avx512vnni"), 1)
    assert again.weights[24:56] != emitted[0].weights[24:56]
