"""A board's description as data: every figure says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("datasheet", "measured", "derived", "unverified")
"""How far a figure can be trusted: the maker says so, somebody measured it, we computed it from others that its source
names, or it is what people say."""

KINDS = ("board", "accelerator", "microcontroller", "server")
ENGINES = ("cpu", "gpu", "npu", "edgetpu", "dpu", "mcu")
"""What of a chip can run a network."""

PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int4")
COOLINGS = ("bare", "heatsink", "fan")


@dataclass(frozen=True)
class Figure:
    """A number with its source.

    Args:
        value: in `unit`.
        unit: as printed: `GB/s`, `Gop/s` (two operations a multiply-accumulate), `W`, `C`, `K/W`, `s`, `GHz`, `USD`,
            `bytes`.
        source: document, page or repository with the revision, so that anyone can look it up.
        date: ISO day that the source speaks for, or that it was read.
        status: one of STATUSES.
        note: condition or doubt, in words.
    """

    value: float
    unit: str
    source: str
    date: str
    status: str
    note: str | None = None


@dataclass(frozen=True)
class Fact:
    """A statement with its source; as Figure, in words."""

    value: str
    source: str
    date: str
    status: str
    note: str | None = None


@dataclass(frozen=True)
class Cluster:
    """Equal cores.

    Args:
        core: as the maker names it: `Cortex-A72`.
        count: of cores.
        clock: GHz, the highest sustained one as delivered.
    """

    core: str
    count: int
    clock: Figure


@dataclass(frozen=True)
class Peak:
    """Arithmetic peak of one engine in one precision, all its units together.

    Args:
        engine: one of ENGINES.
        precision: one of PRECISIONS.
        rate: Gop/s, two operations a multiply-accumulate.
    """

    engine: str
    precision: str
    rate: Figure


@dataclass(frozen=True)
class Precision:
    """Whether a precision earns its keep on this chip, and why.

    Args:
        precision: one of PRECISIONS.
        engine: one of ENGINES.
        worth: False: it brings no speed there, or cannot run.
        why: for people, one sentence.
    """

    precision: str
    engine: str
    worth: bool
    why: Fact


@dataclass(frozen=True)
class RuntimeSupport:
    """How a runtime gets onto this chip.

    Args:
        runtime: our name (`native`, `onnxruntime`, `litert`, `openvino`, `ncnn`, `tensorrt`, `llamacpp`), or its
            maker's.
        engine: what of the chip it drives, one of ENGINES.
        how: `wheel`, `build`, `image` (comes with the vendor's system), `export` (code generated elsewhere) or `none`.
        what: for people: package, version, system.
    """

    runtime: str
    engine: str
    how: str
    what: Fact


@dataclass(frozen=True)
class Accelerator:
    """An engine that runs only some operators.

    Args:
        engine: one of ENGINES.
        title: for people.
        operators: ONNX operators that it runs, or empty where the maker publishes no list.
        outside: what happens to any other operator.
        source: of the operator list.
        on_chip: bytes that hold weights without a trip over the link, or None.
        link: GB/s to the host's memory, or None.
        listed: name of the maker's list in `chips.operators`, or None where the chip's file names operators itself.
    """

    engine: str
    title: str
    operators: tuple[str, ...]
    outside: str
    source: Fact
    on_chip: Figure | None = None
    link: Figure | None = None
    listed: str | None = None


@dataclass(frozen=True)
class FanStep:
    """A thermostat's step: from `on` degrees Celsius upwards the resistance is `resistance` K/W."""

    on: Figure
    resistance: Figure


@dataclass(frozen=True)
class Cooling:
    """Two thermal poles between chip and air: T = ambient + watts x resistance, reached over two time constants.

    Args:
        kind: one of COOLINGS.
        resistance: K/W from chip to air, at rest; of a fan: with the fan off.
        slow: time constant of the slow pole, s.
        fast: time constant of the fast pole, s.
        fast_share: of the resistance that follows the fast pole, 0 to 1.
        steps: of the fan, by rising temperature; empty without one.
    """

    kind: str
    resistance: Figure
    slow: Figure
    fast: Figure
    fast_share: Figure
    steps: tuple[FanStep, ...] = ()


@dataclass(frozen=True)
class ThrottleStep:
    """From `at` degrees Celsius on the clock is at most `clock` of its full value, 0 to 1."""

    at: Figure
    clock: Figure


@dataclass(frozen=True)
class Power:
    """What the whole board draws at its plug.

    Args:
        idle: W.
        load: W with all cores or the accelerator busy.
    """

    idle: Figure
    load: Figure


@dataclass(frozen=True)
class Chip:
    """One board with one memory size.

    Args:
        name: `raspberry-pi-4b-4gb`; what --chip takes.
        title: for people.
        kind: one of KINDS.
        soc: system on a chip.
        rows: names under which published measurements know this chip; empty when there are none.
        host: names of chips it can hang on; empty for one that stands alone.
        isa: instruction sets, by our names (see `chips.host`).
        isa_source: of the instruction sets.
        clusters: processor cores; empty for a bare accelerator.
        memory: bytes installed and shared by system and model (of an accelerator: its own).
        usable: bytes that a model and its runtime may take once the system runs.
        bandwidth: GB/s that memcpy of large blocks reaches, bytes copied (not read plus written).
        peaks: of each engine and precision worth naming.
        precisions: which earn their keep, and why.
        accelerators: engines beside the processor.
        runtimes: that can be had.
        power: at the plug; None where nobody has measured it.
        coolings: thermal models; empty where nothing supports one.
        throttle: by rising temperature; empty where unknown.
        ambient_low: lowest permitted air temperature, C.
        ambient_high: highest.
        price: USD for one; None where it is not sold.
        hourly: USD an hour when rented, for what lives in a data centre.
        notes: warnings worth showing.
    """

    name: str
    title: str
    kind: str
    soc: str
    rows: tuple[str, ...]
    host: tuple[str, ...]
    isa: tuple[str, ...]
    isa_source: Fact | None
    clusters: tuple[Cluster, ...]
    memory: Figure | None
    usable: Figure | None
    bandwidth: Figure | None
    peaks: tuple[Peak, ...]
    precisions: tuple[Precision, ...]
    accelerators: tuple[Accelerator, ...]
    runtimes: tuple[RuntimeSupport, ...]
    power: Power | None
    coolings: tuple[Cooling, ...]
    throttle: tuple[ThrottleStep, ...]
    ambient_low: Figure | None
    ambient_high: Figure | None
    price: Figure | None
    hourly: Figure | None
    notes: tuple[Fact, ...]

    @property
    def cores(self) -> int:
        """Processor cores of all clusters."""
        return sum(cluster.count for cluster in self.clusters)
