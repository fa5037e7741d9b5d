"""How fast a student is here: its 8-bit form on the runtimes that `fit` would try, measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shoestring.base import disk
from shoestring.base.errors import ChildError, MissingExtraError, ModelError
from shoestring.compress.graph import Graph
from shoestring.compress.scheme import Scheme
from shoestring.costmodel.measure import Measured, measure
from shoestring.domain.cost import Machine
from shoestring.training.rounding import Array, quantize

Meter = Callable[[Graph], float]
"""Float graph -> milliseconds for one image."""

SECONDS_EACH = 0.4  # the search needs an order, not a certificate; the last student is measured for longer
HOME, NATIVE = "onnxruntime", "native"


@dataclass(frozen=True)
class RealMeter:
    """Quantizes, compiles where a C compiler is found, and times.

    Args:
        batches: inputs that set the ranges; their values do not matter for the time.
        scheme: 8-bit types of this machine.
        machine: this one.
        threads: latency is taken at this many.
        remark: told why native code was left out, where it was.
        seconds_each: of timing for each runtime.
    """

    batches: list[Array]
    scheme: Scheme
    machine: Machine
    threads: int
    remark: Callable[[str], None]
    seconds_each: float = SECONDS_EACH

    def __call__(self, graph: Graph) -> float:
        """Median of the fastest runtime, ms. Raises EngineError when it cannot be run."""
        data = quantize(graph, self.batches[:1], self.scheme, self.threads).to_bytes()
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "student.onnx"
            disk.write_bytes(model, data)
            artefacts = [Measured(HOME, model, HOME, len(data))]
            program = self._compile(model, Path(folder) / "student.so")
            if program is not None:
                artefacts.append(Measured(NATIVE, program, NATIVE, program.stat().st_size))
            costs = measure(artefacts, HOME, [self.threads], seconds_each=self.seconds_each)
        return min(cost.at(self.threads).median_ms for cost in costs.values())

    def _compile(self, model: Path, out: Path) -> Path | None:
        """The native program, or None where it cannot be had: then ONNX Runtime alone decides, as in `fit`."""
        from shoestring.native.compiling import compile_library
        from shoestring.native.targets import host_target

        target = host_target(self.machine.isa, self.machine.arch)
        try:
            return compile_library(model, "student", target, self.threads, out).path
        except (MissingExtraError, ModelError, ChildError) as error:
            self.remark(f"latency is that of {HOME}: no native program ({error.message})")
            return None
