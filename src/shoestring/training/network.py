"""A normalised graph as a torch module that can be trained, and back again.

No public converter was taken: the one of permissive licence (onnx2torch, Apache-2.0) had its last release years ago,
stops at opset 13 for the operators a normalised graph holds, and pulls in torchvision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.compress.graph import Graph
from shoestring.training.lib import functional, nn, torch
from shoestring.training.operators import Function, data_inputs, function, weighted

if TYPE_CHECKING:
    import onnx

STATISTICS_EPS = 1e-5


@dataclass(frozen=True)
class Step:
    """One operator.

    Args:
        name: of the node.
        inputs: computed tensors it reads.
        output: the tensor it makes.
        key: of its layer in `Network.layers`, or None.
        call: what it does when it has no layer, or None.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    key: str | None
    call: Function | None


class Network(nn.Module):
    """Runs the steps of a graph in order.

    Args:
        graph: normalised, one input, one output; not changed.

    Raises:
        ModelError: an operator that has no twin here, by name; more inputs or outputs than one.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise ModelError(
                f"the model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, one of each is taken",
                hint="export the part that takes the image and gives the classes",
            )
        self.source, self.result = graph.inputs[0], graph.outputs[0]
        self.layers = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.pads: dict[str, list[int]] = {}
        self.steps: list[Step] = []
        self.weight_rounding: Callable[[Any], Any] | None = None
        self.rounding: dict[str, Callable[[Any], Any]] = {}
        for place, node in enumerate(graph.nodes):
            self._add(graph, node, f"layer{place}")
        maker = graph.producers.get(self.result)
        self.gives_probabilities = maker is not None and maker.op_type == "Softmax"

    def _add(self, graph: Graph, node: onnx.NodeProto, key: str) -> None:
        made = weighted(graph, node)
        inputs = tuple(data_inputs(graph, node))
        if made is None:
            self.steps.append(Step(node.name, inputs, node.output[0], None, function(graph, node)))
            return
        layer, pads = made
        self.layers[key] = layer
        if pads:
            self.pads[key] = pads
        self.steps.append(Step(node.name, inputs[:1], node.output[0], key, None))

    def forward(self, x: Any) -> Any:
        """(n, ...) as the model takes it -> its output."""
        values = {self.source: self._rounded(self.source, x)}
        for step in self.steps:
            arguments = [values[name] for name in step.inputs]
            result = self._layer(step.key or "", arguments[0]) if step.call is None else step.call(*arguments)
            values[step.output] = self._rounded(step.output, result)
        return values[self.result]

    def _rounded(self, name: str, value: Any) -> Any:
        rounding = self.rounding.get(name)
        return value if rounding is None else rounding(value)

    def _layer(self, key: str, x: Any) -> Any:
        layer = self.layers[key]
        if key in self.pads:
            x = functional.pad(x, self.pads[key])
        if self.weight_rounding is None:
            x = layer(x)
        elif isinstance(layer, nn.Conv2d):
            x = layer._conv_forward(x, self.weight_rounding(layer.weight), layer.bias)
        else:
            x = functional.linear(x, self.weight_rounding(layer.weight), layer.bias)
        return self.norms[key](x) if key in self.norms else x


def add_norms(network: Network, batches: list[Any]) -> None:
    """Put a batch norm after every convolution of an image, in place, without changing the function.

    Batch norms were folded into the weights when the model was imported; training wants them back. Mean and variance
    of each channel over `batches` become its statistics, and scale and shift undo them (Ioffe & Szegedy, "Batch
    Normalization", ICML 2015). When the network is slimmed afterwards, each channel is brought back to the mean and
    variance that it had in the original (as in Jordan et al., "REPAIR", ICLR 2023).

    Args:
        network: without norms.
        batches: inputs; at least one.
    """
    sums: dict[str, Any] = {}
    hooks = [
        layer.register_forward_hook(_observer(sums, key))
        for key, layer in network.layers.items()
        if isinstance(layer, nn.Conv2d)
    ]
    network.eval()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for hook in hooks:
        hook.remove()
    for key, (count, total, squares) in sums.items():
        if count == 0:
            continue
        layer = network.layers[key]
        mean = total / count
        variance = (squares / count - mean**2).clamp(min=0)
        norm = nn.BatchNorm2d(len(mean), eps=STATISTICS_EPS).to(layer.weight.device)
        with torch.no_grad():
            norm.running_mean.copy_(mean if layer.bias is None else mean - layer.bias)
            norm.running_var.copy_(variance)
            norm.weight.copy_(torch.sqrt(variance + norm.eps))
            norm.bias.copy_(mean)
        layer.bias = None
        network.norms[key] = norm


def add_empty_norms(network: Network, keys: list[str]) -> None:
    """Norms for the layers `keys`, to be filled by a stored state."""
    for key in keys:
        layer = network.layers[key]
        layer.bias = None
        network.norms[key] = nn.BatchNorm2d(layer.out_channels, eps=STATISTICS_EPS)


def _observer(sums: dict[str, Any], key: str) -> Callable[..., None]:
    """Sums over batch and positions in float64; positions of 1x1 are no images (squeeze-and-excitation)."""

    def observe(_module: Any, _inputs: Any, output: Any) -> None:
        if output.shape[2] * output.shape[3] == 1:
            sums.setdefault(key, (0, 0, 0))
            return
        values = output.double()
        count, total, squares = sums.get(key, (0, 0, 0))
        sums[key] = (
            count + values.numel() // values.shape[1],
            total + values.sum((0, 2, 3)),
            squares + (values**2).sum((0, 2, 3)),
        )

    return observe


def fused(network: Network) -> Network:
    """A copy with its norms folded into the convolutions: the same function in evaluation mode."""
    plain: Network = copy.deepcopy(network).eval()
    for key, norm in plain.norms.items():
        layer = plain.layers[key]
        with torch.no_grad():
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            layer.weight.mul_(factor.view(-1, 1, 1, 1))
            layer.bias = nn.Parameter(norm.bias - norm.running_mean * factor)
    plain.norms = nn.ModuleDict()
    return plain


def to_graph(network: Network, graph: Graph) -> Graph:
    """`graph` with the weights of `network`, whose channels may be fewer.

    Args:
        network: made from `graph`; norms are folded.
        graph: not changed.
    """
    plain = fused(network)
    keys = {step.name: step.key for step in plain.steps if step.key is not None}
    target = graph.copy()
    for node in target.nodes:
        key = keys.get(node.name)
        if key is None:
            continue
        layer = plain.layers[key]
        weight = layer.weight.detach().cpu().numpy()
        if node.op_type == "MatMul":
            weight = np.ascontiguousarray(weight.T)
        _set_attributes(node, layer)
        node.input[1] = f"{node.name}/student-weight"
        target.weights[node.input[1]] = weight
        if layer.bias is None:
            continue
        name = f"{node.name}/student-bias"
        target.weights[name] = layer.bias.detach().cpu().numpy()
        if len(node.input) > 2:
            node.input[2] = name
        else:
            node.input.append(name)
    return target.copy()  # leaves weights behind that nothing reads any more


def _set_attributes(node: onnx.NodeProto, layer: Any) -> None:
    """Groups of a slimmed depthwise convolution; a Gemm is written in torch's own form."""
    changed = {"Conv": {"group": getattr(layer, "groups", 1)}, "Gemm": {"transB": 1}}.get(node.op_type, {})
    dropped = {*changed, "alpha", "beta"} if node.op_type == "Gemm" else set(changed)
    kept = [item for item in node.attribute if item.name not in dropped]
    del node.attribute[:]
    node.attribute.extend(kept)
    for name, value in changed.items():
        item = node.attribute.add()
        item.name, item.i, item.type = name, value, 2  # AttributeProto.INT


def log_probabilities(network: Network, output: Any) -> Any:
    """Logarithms of the class probabilities that an output stands for, (n, classes)."""
    if network.gives_probabilities:
        return torch.log(output.clamp(min=1e-8))
    return functional.log_softmax(output, dim=1)
