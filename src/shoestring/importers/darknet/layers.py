"""One function a kind of section: it reads its options and weights and writes ONNX nodes.

Sizes, orders and defaults are those of src/parser.c and the forward functions of github.com/AlexeyAB/darknet and, where
both have the layer, of github.com/pjreddie/darknet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.darknet.activations import activate
from shoestring.importers.darknet.combine import route, sam, scale_channels, shortcut
from shoestring.importers.darknet.heads import region, yolo

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.importers.darknet.cfg import Section
    from shoestring.importers.darknet.graph import Builder, Value
    from shoestring.importers.darknet.weights import Weights

EPSILON = 1e-5  # added to the variance before the root, as Darknet's GPU code and its fork's CPU code do
MAX_KERNEL = 1024
MAX_FILTERS = 2**20


def convolutional(build: Builder, section: Section, x: Value, name: str, weights: Weights) -> Value:
    """Convolution, batch norm, activation. A file holds biases, then scales, means and variances, then weights."""
    need_image(section, x)
    filters = section.integer("filters", 1, 1, MAX_FILTERS)
    groups = section.integer("groups", 1, 1, MAX_FILTERS)
    size, dilation = section.integer("size", 1, 1, MAX_KERNEL), section.integer("dilation", 1, 1, MAX_KERNEL)
    rows, columns = _strides(section)
    pad = section.integer("padding", 0, 0, MAX_KERNEL)
    if section.integer("pad", 0):
        pad = size // 2
    dilation = 1 if size == 1 else dilation
    if x.channels % groups or filters % groups:
        raise section.wrong(f"groups={groups} does not divide its {x.channels} inputs and {filters} filters")
    # Darknet sizes the result as if nothing were dilated, and pads by dilation times as much.
    if dilation > 1 and 2 * pad != size - 1:
        raise section.wrong(f"dilation={dilation} with size={size} and padding {pad} is not supported", hint="pad=1")
    height, width = (x.height + 2 * pad - size) // rows + 1, (x.width + 2 * pad - size) // columns + 1
    normalised = section.integer("batch_normalize", 0) != 0
    biases = weights.take((filters,), name, "biases")
    norm = [weights.take((filters,), name, what) for what in ("scales", "means", "variances")] if normalised else []
    kernel = weights.take((filters, x.channels // groups, size, size), name, "weights")
    inputs = [x.name, build.constant(f"{name}.weight", kernel)]
    if not normalised:
        inputs.append(build.constant(f"{name}.bias", biases))
    tensor = build.node(
        "Conv",
        inputs,
        name,
        kernel_shape=[size, size],
        strides=[rows, columns],
        pads=[pad * dilation] * 4,
        dilations=[dilation, dilation],
        group=groups,
    )
    if normalised:
        tensor = _batch_norm(build, tensor, name, norm, biases)
    tensor = activate(build, section, tensor, name, "logistic")
    return build.value(tensor, filters, height, width)


def connected(build: Builder, section: Section, x: Value, name: str, weights: Weights) -> Value:
    """Fully connected. A file holds biases, then weights (outputs, inputs), then scales, means and variances."""
    outputs = section.integer("output", 1, 1, MAX_FILTERS)
    normalised = section.integer("batch_normalize", 0) != 0
    biases = weights.take((outputs,), name, "biases")
    shape = (x.elements, outputs) if weights.transposed else (outputs, x.elements)
    matrix = weights.take(shape, name, "weights")
    norm = [weights.take((outputs,), name, what) for what in ("scales", "means", "variances")] if normalised else []
    bias = np.zeros_like(biases) if normalised else biases
    inputs = [flat(build, x, name), build.constant(f"{name}.weight", matrix), build.constant(f"{name}.bias", bias)]
    tensor = build.node("Gemm", inputs, name, transB=0 if weights.transposed else 1)
    if normalised:
        tensor = _batch_norm(build, tensor, name, norm, biases)
    tensor = activate(build, section, tensor, name, "logistic")
    return build.value(tensor, outputs, 1, 1, flat=True)


def maxpool(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """Largest of a window. `padding` is the sum of both sides, size - 1 unless given; the near side gets half of it."""
    need_image(section, x)
    rows, columns = _strides(section)
    size = section.integer("size", section.integer("stride", 1, 1, MAX_KERNEL), 1, MAX_KERNEL)
    padding = section.integer("padding", size - 1, 0, MAX_KERNEL)
    height, width = (x.height + padding - size) // rows + 1, (x.width + padding - size) // columns + 1
    near = padding // 2
    # What the last window does not reach is no padding: 2 x 2 with stride 2 on an even size needs none.
    far = [
        max(0, (count - 1) * step + size - near - length)
        for count, step, length in ((height, rows, x.height), (width, columns, x.width))
    ]
    if max(near, *far) >= size:
        raise section.wrong(f"padding={padding} makes windows of padding alone with size={size}")
    if size > 1 or rows > 1 or columns > 1:
        attributes = {"kernel_shape": [size, size], "strides": [rows, columns], "pads": [near, near, *far]}
        build.node("MaxPool", [x.name], name, **attributes)
    else:
        name = x.name
    return build.value(name, x.channels, height, width)


def avgpool(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """Darknet's average pool takes the whole image."""
    need_image(section, x)
    return build.value(build.node("GlobalAveragePool", [x.name], name), x.channels, 1, 1)


def upsample(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """Each pixel `stride` times in both directions."""
    need_image(section, x)
    stride = section.integer("stride", 2, 1, MAX_KERNEL)
    scales = build.constant(f"{name}.scales", np.asarray([1, 1, stride, stride], np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    tensor = build.node("Resize", [x.name, "", scales], name, **how)
    return build.value(tensor, x.channels, x.height * stride, x.width * stride)


def softmax(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """Over everything that one image gives, in `groups` equal parts."""
    groups = section.integer("groups", 1, 1, MAX_FILTERS)
    temperature = section.number("temperature", 1.0)
    if x.elements % groups or temperature <= 0:
        raise section.wrong(f"groups={groups} and temperature={temperature:g} do not fit {x.elements} values")
    tensor = flat(build, x, name)
    if temperature != 1:
        divisor = build.constant(f"{name}.temperature", np.float32(temperature))
        tensor = build.node("Div", [tensor, divisor], f"{name}.cooled")
    if groups > 1:
        parts = build.constant(f"{name}.parts", np.asarray([0, groups, x.elements // groups], np.int64))
        tensor = build.node("Reshape", [tensor, parts], f"{name}.grouped")
    tensor = build.node("Softmax", [tensor], name if groups == 1 else f"{name}.shares", axis=-1)
    if groups > 1:
        tensor = build.node("Flatten", [tensor], name, axis=1)
    return build.value(tensor, x.elements, 1, 1, flat=True)


def activation(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    tensor = activate(build, section, x.name, name, "linear")
    return build.value(tensor, x.channels, x.height, x.width, flat=x.flat)


def nothing(_build: Builder, _section: Section, x: Value, _name: str, _weights: Weights) -> Value:
    """Dropout and the cost of training leave the values alone at inference."""
    return x


def need_image(section: Section, x: Value) -> None:
    """Raise ModelError when the layer before gives a vector."""
    if x.flat:
        raise section.wrong("the layer before it gives a vector, and it needs an image")


def flat(build: Builder, x: Value, name: str) -> str:
    """The tensor as (N, elements); channels, rows, columns in this order, as Darknet holds them."""
    return x.name if x.flat else build.node("Flatten", [x.name], f"{name}.flat", axis=1)


def _strides(section: Section) -> tuple[int, int]:
    stride = section.integer("stride", 1, 1, MAX_KERNEL)
    rows, columns = (section.integer(f"stride_{axis}", 0, 0, MAX_KERNEL) for axis in "yx")
    return rows or stride, columns or stride


def _batch_norm(build: Builder, x: str, name: str, norm: list[np.ndarray], biases: np.ndarray) -> str:
    scales, means, variances = norm
    arrays = {"scale": scales, "shift": biases, "mean": means, "variance": variances}
    inputs = [x, *(build.constant(f"{name}.{what}", array) for what, array in arrays.items())]
    return build.node("BatchNormalization", inputs, f"{name}_norm", epsilon=EPSILON)


LAYERS: dict[str, Callable[[Builder, Section, Value, str, Weights], Value | None]] = {
    "activation": activation,
    "avg": avgpool,
    "avgpool": avgpool,
    "conn": connected,
    "connected": connected,
    "conv": convolutional,
    "convolutional": convolutional,
    "cost": nothing,
    "dropout": nothing,
    "max": maxpool,
    "maxpool": maxpool,
    "region": region,
    "route": route,
    "sam": sam,
    "scale_channels": scale_channels,
    "shortcut": shortcut,
    "soft": softmax,
    "softmax": softmax,
    "upsample": upsample,
    "yolo": yolo,
}
