"""What a rung answered on another instruction set, held against what it answered in the workshop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """Answers of one rung on one board's instruction set, for part of the certification split.

    Args:
        rung: its name.
        board: chip whose instruction set it was.
        core: of it: `Cortex-A72`.
        isa: instruction sets that the program saw, sorted, by our names.
        emulator: that stood for the board, with its version; empty: the board itself.
        system: operating system's C library there.
        runtime: that ran the rung.
        runtime_version: of it there.
        artefact_sha256: the file that ran.
        places: of the images in the certification split, ascending.
        top: for each of them the class indices, best first (at most five).
    """

    rung: str
    board: str
    core: str
    isa: tuple[str, ...]
    emulator: str
    system: str
    runtime: str
    runtime_version: str
    artefact_sha256: str
    places: tuple[int, ...]
    top: tuple[tuple[int, ...], ...]
