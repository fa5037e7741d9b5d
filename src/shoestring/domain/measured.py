"""Published or own measurements: of a model on a chip, and of a chip's temperature."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of the table of measurements.

    Args:
        chip: name in the table; `Chip.rows` of the catalogue points at it.
        model: name in the source.
        input: `224x224x3`, or what the source says.
        runtime: `ncnn`, `onnxruntime`, `native` ...
        device: engine it ran on: `cpu`, `gpu-vulkan`, `gpu-cuda`, `npu`, `edgetpu`, `fpga-dpu`, `mcu`.
        precision: `fp32`, `fp16`, `int8` ...
        threads: or None where the source is silent.
        latency_ms: of one example, or None.
        fps: examples a second when streamed, which is not 1 / latency, or None.
        tokens_s: decoded tokens a second of a language model, or None.
        watts: of the whole board while it ran, or None.
        ghz: clock, or None.
        version: of the runtime.
        date: ISO day.
        conditions: how it was run, as the source tells.
        flags: known problems, empty when none.
        source: document with revision.
        macs_m: millions of multiply-accumulates as the source or its graph gives them, or None.
        params_m: millions of parameters, or None.
    """

    chip: str
    model: str
    input: str
    runtime: str
    device: str
    precision: str
    threads: int | None
    latency_ms: float | None
    fps: float | None
    tokens_s: float | None
    watts: float | None
    ghz: float | None
    version: str
    date: str
    conditions: str
    flags: str
    source: str
    macs_m: float | None = None
    params_m: float | None = None


@dataclass(frozen=True)
class HeatSample:
    """One moment of a board's run.

    Args:
        seconds: since the first sample.
        busy: share of the processor's time since the sample before, 0 to 1.
        celsius: of the chip.
        watts: of the whole board, or None where nobody metered it.
    """

    seconds: float
    busy: float
    celsius: float
    watts: float | None


@dataclass(frozen=True)
class HeatSeries:
    """A board's temperature over a run.

    Args:
        name: of the run in its source.
        board: as the source has it.
        cooling: one of `chip.COOLINGS`, or None where the source is silent.
        idle_watts: of the board; unverified, from reviews of that board.
        full_watts: with all cores busy; likewise.
        source: document with revision.
        samples: by time.
    """

    name: str
    board: str
    cooling: str | None
    idle_watts: float
    full_watts: float
    source: str
    samples: tuple[HeatSample, ...]
