"""What of a network decides its latency, counted for one example."""

from __future__ import annotations

from dataclasses import dataclass

TERMS = ("conv3x3_macs", "conv1x1_macs", "convk_macs", "dw_macs", "group_macs", "fc_macs", "other_macs")


@dataclass(frozen=True)
class Uncovered:
    """An operator that no term stands for.

    Args:
        operator: ONNX name, with its domain when it is not the default one.
        count: nodes.
        elements: numbers that they write, all together.
    """

    operator: str
    count: int
    elements: int


@dataclass(frozen=True)
class Features:
    """Sums over the layers of a network, batch 1.

    The MACs are parted by kind so that each kind can have a speed of its own.

    Args:
        name: of the model, for people.
        input: `224x224x3`: height, width, channels of the first input, or the shape joined by `x`.
        conv3x3_macs: ungrouped convolutions, kernel 3x3, stride 1 (the ones that Winograd's transform speeds up).
        conv1x1_macs: ungrouped convolutions with kernel 1x1, any stride.
        convk_macs: all other ungrouped convolutions, transposed ones too.
        dw_macs: depthwise: as many groups as input channels.
        group_macs: other grouped convolutions.
        fc_macs: fully connected layers: a matrix product with stored weights.
        other_macs: products of two activations, recurrent cells.
        params: learnt weights and biases.
        act_elems: numbers that layers read and numbers that they write, weights left out; views and folded activations
            are no layers.
        layers: operators that run, views left out.
        conv_fc_layers: of them, convolutions and fully connected ones.
        peak_activation_elems: largest number of live activations over the execution order.
        uncovered: operators without a term.
    """

    name: str
    input: str
    conv3x3_macs: int
    conv1x1_macs: int
    convk_macs: int
    dw_macs: int
    group_macs: int
    fc_macs: int
    other_macs: int
    params: int
    act_elems: int
    layers: int
    conv_fc_layers: int
    peak_activation_elems: int | None = None
    uncovered: tuple[Uncovered, ...] = ()

    @property
    def macs(self) -> int:
        return sum(getattr(self, term) for term in TERMS)
