"""How TensorRT 8.2 builds an engine on a Jetson Nano: the command, with the reason for each part of it.

Flags are those of github:NVIDIA/TensorRT samples/common/sampleOptions.cpp 8.2.1 @6f38570b7; later versions name some
otherwise (--memPoolSize for --workspace, from 8.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.domain.chip import Chip

PROGRAM = "/usr/src/tensorrt/bin/trtexec"
MIB = 1024 * 1024
CONTEXT_BYTES = 700 * MIB
"""CUDA's context with the libraries of TensorRT, cuDNN and cuBLAS loaded: a judgement; some 600 MB are often seen."""

COPIES = 3
"""Of the weights while an engine is built: as read, as the builder holds them, and in the engine."""

STEP_MIB = 128
LEAST_MIB, MOST_MIB = 64, 2048
"""More than 2 GiB brings nothing: no tactic of a network that fits asks for it (a judgement)."""


@dataclass(frozen=True)
class Flag:
    """One part of a command, and why it is there."""

    text: str
    why: str


@dataclass(frozen=True)
class Build:
    """A command and its parts.

    Args:
        program: to run on the board.
        flags: in order.
        workspace_mib: that tactics may use while the engine is built and while it runs.
    """

    program: str
    flags: tuple[Flag, ...]
    workspace_mib: int

    @property
    def command(self) -> str:
        """As it is typed."""
        return " ".join((self.program, *(flag.text for flag in self.flags)))


def build_command(chip: Chip, model: Path, weight_bytes: int, activation_bytes: int, *, half: bool) -> Build:
    """The command for a model, run on the board itself: an engine is good for its own GPU and version alone.

    Args:
        chip: with memory that processor and GPU share.
        model: ONNX file, as it is called on the board.
        weight_bytes: in fp32.
        activation_bytes: that live at once, in fp32.
        half: whether fp16 may be used.

    Raises:
        UsageError: the chip's file does not say how much memory there is, or too little is left.
    """
    space = workspace_mib(chip, weight_bytes, activation_bytes)
    flags = [Flag(f"--onnx={model.name}", "the model; its batch and shapes are fixed, so that no profile is needed")]
    if half:
        flags.append(
            Flag("--fp16", "the GPU does twice as many fp16 operations a second as fp32; it has no int8 units")
        )
    flags += [
        Flag(
            f"--workspace={space}",
            f"MiB for tactics: {_gib(chip)} less system, CUDA's context and {COPIES} copies of the weights",
        ),
        Flag(
            f"--timingCacheFile={model.stem}.cache",
            "timings are kept: the next build takes seconds, and picks the same",
        ),
        Flag(f"--saveEngine={model.stem}.engine", "the engine, to be loaded without building again"),
        Flag("--buildOnly", "building and measuring apart: a build heats the board"),
    ]
    return Build(PROGRAM, tuple(flags), space)


def workspace_mib(chip: Chip, weight_bytes: int, activation_bytes: int) -> int:
    """MiB that tactics may use: what the system leaves, less context, copies of the weights and the activations.

    Raises:
        UsageError: see `build_command`.
    """
    if chip.usable is None:
        raise UsageError(f"the file of {chip.name} does not say how much memory a model may take", hint="add [usable]")
    left = chip.usable.value - CONTEXT_BYTES - COPIES * weight_bytes - activation_bytes
    steps = int(left // MIB) // STEP_MIB * STEP_MIB
    if steps < LEAST_MIB:
        raise UsageError(
            f"{chip.name} leaves {max(0, int(left // MIB))} MiB to build this model, which needs {LEAST_MIB} at least",
            hint="a smaller model, or swap space while building",
        )
    return min(steps, MOST_MIB)


def _gib(chip: Chip) -> str:
    return "the memory" if chip.memory is None else f"{chip.memory.value / 1024**3:.0f} GiB"
