"""Estimated cycles of counted blocks: llvm-mca's pipeline model of the core, each block alone in its steady state.

All loads hit the first cache, branches are predicted, and blocks do not overlap: an estimate to compare programs on one
core, not calibrated on a board.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from emulation.boards import Block, heaviest, instructions

MODELS = {
    "cortex-a53": "cortex-a53",
    "cortex-a57": "cortex-a57",
    "cortex-a72": "cortex-a72",
    "cortex-a76": "neoverse-n1",  # the server sibling of the A76; LLVM has no model of the A76 itself
}
VERSIONS = ("-19", "-18", "-17", "-16", "")
ITERATIONS = 20
SHARE = 0.98


@dataclass(frozen=True)
class Estimate:
    """Cycles by a model.

    Args:
        cycles: of everything, scaled up from the share that was modelled.
        modelled: share of the instructions whose blocks were modelled, 0..1.
    """

    cycles: float
    modelled: float


def tool(name: str) -> str | None:
    """`llvm-mca`, `llvm-mc`: the newest that is installed."""
    return next((found for suffix in VERSIONS if (found := shutil.which(name + suffix))), None)


def estimate(cpu: str, counts: Mapping[Block, int], share: float = SHARE) -> Estimate:
    """Cycles of the blocks on a 64-bit core.

    Args:
        cpu: one of MODELS.
        counts: of AArch64 blocks.
        share: of all instructions to model, the heaviest blocks first.

    Raises:
        RuntimeError: llvm is not installed, or cannot read the instructions.
    """
    picked = heaviest(counts, share)
    lines = disassembled([word for block, _ in picked for word in block])
    text, at = [], 0
    for number, (block, _) in enumerate(picked):
        text += [f"# LLVM-MCA-BEGIN B{number}", *lines[at : at + len(block)], "# LLVM-MCA-END"]
        at += len(block)
    options = ["-mattr=+v8.2a,+fullfp16,+dotprod,+crypto", "-resource-pressure=0", "-instruction-info=0"]
    words = [_need("llvm-mca"), "-mtriple=aarch64", f"-mcpu={MODELS[cpu]}", f"-iterations={ITERATIONS}", *options, "-"]
    done = subprocess.run(words, input="\n".join(text) + "\n", capture_output=True, text=True, check=False)
    per_block = cycles_by_region(done.stdout)
    known = [(block, runs, per_block[number]) for number, (block, runs) in enumerate(picked) if number in per_block]
    if not known:
        raise RuntimeError(f"llvm-mca modelled nothing: {done.stderr[:300]}")
    modelled = sum(runs * len(block) for block, runs, _ in known) / instructions(counts)
    return Estimate(sum(runs * cycles for _, runs, cycles in known) / modelled, modelled)


def disassembled(words: list[str]) -> list[str]:
    """Assembler text of AArch64 instructions given as hexadecimal bytes in memory order."""
    text = "\n".join(" ".join(f"0x{word[i : i + 2]}" for i in range(0, 8, 2)) for word in words)
    options = ["--disassemble", "-triple=aarch64", "-mattr=+v8.6a,+fullfp16,+dotprod,+crypto,+sha3,+sm4"]
    done = subprocess.run([_need("llvm-mc"), *options], input=text, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip() and not line.strip().startswith(".")]
    if len(lines) != len(words):
        raise RuntimeError(f"llvm-mc read {len(lines)} of {len(words)} instructions: {done.stderr[:300]}")
    return lines


def cycles_by_region(report: str) -> dict[int, float]:
    """Cycles of one run of each region, from llvm-mca's report."""
    found: dict[int, float] = {}
    region = -1
    for line in report.splitlines():
        if begins := re.search(r"Code Region - B(\d+)", line):
            region = int(begins[1])
        if total := re.match(r"Total Cycles:\s+(\d+)", line):
            found[region] = int(total[1]) / ITERATIONS
    return found


def _need(name: str) -> str:
    found = tool(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install llvm-19")
    return found
