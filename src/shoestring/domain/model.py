"""A model as the rooms pass it on, and what its graph costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy type name and shape of an input or output; None marks a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Model:
    """A normalised model: one self-contained ONNX file.

    Args:
        path: the normalised file.
        sha256: of the normalised file.
        source_name: file name the user gave.
        source_sha256: of the file the user gave (external data included, in the order of their names).
        opset: of the default domain, after normalisation.
        inputs: graph inputs that are not weights.
        outputs: graph outputs.
        notes: what normalisation did, in plain words.
    """

    path: Path
    sha256: str
    source_name: str
    source_sha256: str
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One operator of the graph, for one input example.

    Args:
        macs: multiply-accumulates.
        parameters: weights and biases it owns.
        weight_bytes: what they occupy as stored.
        read_bytes: activations read.
        written_bytes: activations written.
        output_shape: of its first output.
    """

    name: str
    operator: str
    macs: int
    parameters: int
    weight_bytes: int
    read_bytes: int
    written_bytes: int
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """What one inference of a model takes, from the graph alone.

    Args:
        layers: in execution order.
        peak_activation_bytes: largest sum of live activations over the execution order.
        batch: the batch size assumed where the graph leaves it free.
    """

    layers: tuple[Layer, ...]
    peak_activation_bytes: int
    batch: int

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def moved_bytes(self) -> int:
        """Weights plus activations read and written, each counted once a layer."""
        return sum(layer.weight_bytes + layer.read_bytes + layer.written_bytes for layer in self.layers)

    @property
    def intensity(self) -> float:
        """MACs for each byte moved (Williams et al., "Roofline", CACM 2009)."""
        return self.macs / max(1, self.moved_bytes)
