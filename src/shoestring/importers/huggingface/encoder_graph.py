"""An encoder of BERT's shape as an ONNX graph (Devlin et al., 2018, arXiv 1810.04805).

Every linear layer is a MatMul with a constant (inputs, outputs) and an Add, which is what our quantizers take; norms
and GELU have the forms that ONNX Runtime fuses. A single text has token type 0 everywhere, so that row is part of the
table of positions and the graph has no input for types.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.importers.huggingface.encoder_family import Shape
from shoestring.importers.huggingface.graph import Builder
from shoestring.importers.huggingface.stored import Stored
from shoestring.importers.require import onnx

MASKED = -10_000.0  # added where there is no token: exp(-10,000) is 0 in float32, and it fits float16
IDS, MASK = "input_ids", "attention_mask"
Floats = npt.NDArray[np.float32]


class EncoderBuilder(Builder):
    """Builds the encoder node by node.

    Args:
        stored: the weights.
        shape: sizes and names.
        prefix: of the encoder's tensors in this file.
    """

    def __init__(self, stored: Stored, shape: Shape, prefix: str) -> None:
        super().__init__()
        self.stored = stored
        self.shape = shape
        self._prefix = prefix

    def linear(self, x: str, tensor: str, sizes: tuple[int, int], output: str) -> str:
        """x W + b of a stored linear layer, whose weight is (outputs, inputs)."""
        inputs, outputs = sizes
        weight = np.ascontiguousarray(self.stored.floats(f"{tensor}.weight", (outputs, inputs)).T)
        product = self.node("MatMul", [x, self.constant(f"{tensor}.weight", weight)], f"{output}_product")
        bias = self.constant(f"{tensor}.bias", self.stored.floats(f"{tensor}.bias", (outputs,)))
        return self.node("Add", [product, bias], output)

    def encode(self) -> str:
        """From token ids and mask to (n, tokens, width)."""
        x = self._embedded()
        mask = self._mask()
        for index in range(self.shape.layers):
            x = self._block(x, index, mask)
        return x

    def _embedded(self) -> str:
        shape, at = self.shape, f"{self._prefix}embeddings."
        words = self.stored.floats(f"{at}word_embeddings.weight", (shape.vocabulary, shape.width))
        places = self.stored.floats(f"{at}position_embeddings.weight", (shape.positions, shape.width))
        places = places[shape.first_position :]
        if shape.types:
            places = places + self.stored.floats(f"{at}token_type_embeddings.weight", (shape.types, shape.width))[0]
        word = self.node("Gather", [self.constant(f"{at}word_embeddings.weight", words), IDS], "word")
        count = self.node("Shape", [IDS], "count", start=1, end=2)
        first = self.constant("first", [0], np.int64)
        place = self.node("Slice", [self.constant(f"{at}places", places), first, count, first], "place")
        return self._norm(self.node("Add", [word, place], "embedded"), f"{at}LayerNorm", "embedded_norm")

    def _mask(self) -> str:
        """(n, 1, 1, tokens): 0 where there is a token, `MASKED` where there is none."""
        axes = self.constant("head_axes", [1, 2], np.int64)
        shown = self.node(
            "Cast", [self.node("Unsqueeze", [MASK, axes], "mask_wide")], "shown", to=onnx.TensorProto.FLOAT
        )
        hidden = self.node("Sub", [self.constant("one", 1.0), shown], "hidden")
        return self.node("Mul", [hidden, self.constant("masked", MASKED)], "mask")

    def _norm(self, x: str, tensor: str, output: str) -> str:
        width = (self.shape.width,)
        names = [
            self.constant(f"{tensor}.{part}", self.stored.floats(f"{tensor}.{part}", width))
            for part in ("weight", "bias")
        ]
        return self.node("LayerNormalization", [x, *names], output, axis=-1, epsilon=self.shape.epsilon)

    def _heads(self, x: str, output: str, order: list[int]) -> str:
        shape = self.shape
        split = self.constant("heads_shape", [0, 0, shape.heads, shape.width // shape.heads], np.int64)
        return self.node("Transpose", [self.node("Reshape", [x, split], f"{output}_split")], output, perm=order)

    def _block(self, x: str, index: int, mask: str) -> str:
        shape, tag = self.shape, f"layer{index}"
        square = (shape.width, shape.width)
        names = {
            part: self._prefix + shape.family.layer.format(index) + name for part, name in shape.family.parts.items()
        }
        query, key, value = (
            self._heads(self.linear(x, names[part], square, f"{tag}_{part}"), f"{tag}_{part}_heads", order)
            for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        root = self.constant("root_head_width", (shape.width // shape.heads) ** 0.5)
        scores = self.node("Div", [self.node("MatMul", [query, key], f"{tag}_qk"), root], f"{tag}_scaled")
        shares = self.node("Softmax", [self.node("Add", [scores, mask], f"{tag}_masked")], f"{tag}_shares", axis=-1)
        mixed = self.node(
            "Transpose", [self.node("MatMul", [shares, value], f"{tag}_mixed")], f"{tag}_back", perm=[0, 2, 1, 3]
        )
        joined = self.constant("joined_shape", [0, 0, shape.width], np.int64)
        context = self.node("Reshape", [mixed, joined], f"{tag}_context")
        attended = self.linear(context, names["attended"], square, f"{tag}_attended")
        x = self._norm(self.node("Add", [attended, x], f"{tag}_sum1"), names["norm1"], f"{tag}_norm1")
        hidden = self.linear(x, names["hidden"], (shape.width, shape.hidden), f"{tag}_hidden")
        out = self.linear(self._bent(hidden, f"{tag}_bent"), names["out"], (shape.hidden, shape.width), f"{tag}_out")
        return self._norm(self.node("Add", [out, x], f"{tag}_sum2"), names["norm2"], f"{tag}_norm2")

    def _bent(self, x: str, output: str) -> str:
        """GELU (Hendrycks and Gimpel, 2016, arXiv 1606.08415), exact or by tanh; or ReLU."""
        if self.shape.activation == "relu":
            return self.node("Relu", [x], output)
        one, half = self.constant("one", 1.0), self.constant("half", 0.5)
        if self.shape.activation == "tanh":
            cubic, root = self.constant("cubic", 0.044715), self.constant("root_2_pi", (2 / np.pi) ** 0.5)
            power = self.node("Pow", [x, self.constant("three", 3.0)], f"{output}_power")
            inner = self.node("Add", [x, self.node("Mul", [power, cubic], f"{output}_cubic")], f"{output}_inner")
            bent = self.node("Tanh", [self.node("Mul", [inner, root], f"{output}_scaled")], f"{output}_tanh")
            halved = self.node("Mul", [x, half], f"{output}_half")
            return self.node("Mul", [halved, self.node("Add", [bent, one], f"{output}_plus")], output)
        bent = self.node(
            "Erf", [self.node("Div", [x, self.constant("root2", 2**0.5)], f"{output}_div")], f"{output}_erf"
        )
        double = self.node("Mul", [x, self.node("Add", [bent, one], f"{output}_plus")], f"{output}_double")
        return self.node("Mul", [double, half], output)


def pooled(build: EncoderBuilder, x: str, pooling: str, *, normalized: bool) -> str:
    """From (n, tokens, width) to (n, width): the mean over tokens, or the first token; of length one if wished."""
    output = "pooled" if normalized else "embedding"
    if pooling == "cls":
        last = build.node("Gather", [x, build.constant("zero", 0, np.int64)], output, axis=1)
    else:
        shown = build.node("Cast", [MASK], "kept_mask", to=onnx.TensorProto.FLOAT)
        column = build.node("Unsqueeze", [shown, build.constant("last_axis", [2], np.int64)], "kept_column")
        axis = build.constant("token_axis", [1], np.int64)
        total = build.node("ReduceSum", [build.node("Mul", [x, column], "kept"), axis], "total", keepdims=0)
        tokens = build.node("ReduceSum", [column, axis], "tokens", keepdims=0)
        last = build.node("Div", [total, tokens], output)
    return build.node("LpNormalization", [last], "embedding", axis=-1, p=2) if normalized else last


def classified(build: EncoderBuilder, x: str, classes: int) -> str:
    """From (n, tokens, width) to (n, classes), by the head that stands beside the encoder."""
    width, family = build.shape.width, build.shape.family
    first = build.node("Gather", [x, build.constant("zero", 0, np.int64)], "first_token", axis=1)
    tensor, function = family.pooled
    dense = build.node(function, [build.linear(first, tensor, (width, width), "head_dense")], "head_bent")
    return build.linear(dense, family.last, (width, classes), "logits")


def finished(build: EncoderBuilder, output: str, columns: int) -> Any:
    """The ModelProto, with free batch and length."""
    integers, floats = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    ids = [onnx.helper.make_tensor_value_info(name, integers, ["n", "tokens"]) for name in (IDS, MASK)]
    return build.model("encoder", ids, [onnx.helper.make_tensor_value_info(output, floats, ["n", columns])])
