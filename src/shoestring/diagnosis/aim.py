"""What a model is to run on, as far as the diseases ask: instruction sets, and perhaps an accelerator."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import UsageError
from shoestring.chips.host import ARM_ISA, X86_ISA, this_machine
from shoestring.diagnosis.accelerators import accelerators
from shoestring.native.targets import aliases, target_named, targets

FAMILIES = {
    "x86": ("AVX2, without VNNI", ("avx2", "fma", "sse4_1")),
    "arm": ("64-bit Arm without dot products", ("asimd",)),
}
"""Short words for the oldest machine of a kind that is still met on cheap boards, so that nothing is missed."""

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
SATURATING = frozenset({"avx2", "sse4_1", "avx512f"})


@dataclass(frozen=True)
class Aim:
    """Args:
    name: for people.
    isa: instruction sets by our names; empty for a machine of unknown or other kind.
    accelerator: name of a row of accelerators.toml that was asked for, or None.
    """

    name: str
    isa: frozenset[str]
    accelerator: str | None = None

    @property
    def saturates(self) -> bool:
        """Whether engines multiply bytes with VPMADDUBSW there: x86 with AVX2 or SSE4.1 and no VNNI."""
        return bool(self.isa & SATURATING) and not self.isa & VNNI


def take_aim(words: str | None) -> Aim:
    """What --target says.

    Args:
        words: None for this machine; `x86` or `arm`; a target or board of the compiler; an accelerator; or instruction
            sets, separated by commas.

    Raises:
        UsageError: none of these.
        StorageError: this machine cannot be read.
    """
    if words is None:
        machine = this_machine()
        return Aim(f"this machine ({machine.name})", frozenset(machine.isa))
    if words in FAMILIES:
        title, isa = FAMILIES[words]
        return Aim(f"{words} ({title})", frozenset(isa))
    if words in {row.name for row in accelerators()}:
        return Aim(words, frozenset(), words)
    if words in {*(row.name for row in targets()), *(alias.name for alias in aliases())}:
        row = target_named(words)
        return Aim(words, frozenset(row.isa))
    asked = [part.strip() for part in words.split(",")]
    known = {*X86_ISA.values(), *ARM_ISA.values()}
    unknown = [part for part in asked if part not in known]
    if unknown:
        names = [*FAMILIES, *(row.name for row in accelerators()), *(row.name for row in targets())]
        raise UsageError(
            f"--target {words!r}: {unknown[0]!r} is no target and no instruction set",
            hint=f"targets: {', '.join(names)}; instruction sets: {', '.join(sorted(known))}",
        )
    return Aim(", ".join(asked), frozenset(asked))
