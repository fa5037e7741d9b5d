"""A tiny BERT with random weights, its WordPiece tokenizer, and texts of classes that it can tell apart; all seeded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nets import Net
from shoestring.domain.model import TensorSpec
from shoestring.domain.text import TextInput

WIDTH, HIDDEN, HEADS, BLOCKS, PLACES = 32, 64, 4, 2, 48
CLASSES = ("field", "kitchen", "market")
WORDS = {
    "field": ("grass", "barley", "harvest", "plough", "orchard", "fence", "meadow", "tractor"),
    "kitchen": ("kettle", "flour", "oven", "spoon", "recipe", "butter", "saucer", "basin"),
    "market": ("stall", "price", "bargain", "coins", "basket", "ledger", "trader", "sale"),
}
COMMON = ("the", "a", "of", "and", "near", "old", "was", "they", "saw", "two", "again", "small")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def vocabulary() -> dict[str, int]:
    words = [word for group in WORDS.values() for word in group]
    letters = [mark + chr(97 + i) for mark in ("", "##") for i in range(26)]
    return {word: place for place, word in enumerate((*SPECIAL, *COMMON, *words, *letters))}


def tokenizer_bytes(max_length: int | None = None) -> bytes:
    """A `tokenizer.json` as the library writes it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    known = vocabulary()
    made = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", known["[SEP]"]), ("[CLS]", known["[CLS]"]))
    if max_length is not None:
        made.enable_truncation(max_length)
    return made.to_str().encode()


class Builder:
    """Nodes and seeded weights of one encoder."""

    def __init__(self, seed: int) -> None:
        self.net = Net(seed)

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        return self.net.constant(name, np.asarray(value, dtype))

    def normal(self, name: str, *shape: int, size: float = 1.0) -> str:
        return self.constant(name, self.net.rng.normal(0, size, shape))

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        return self.net.node(operator, inputs, output, **attributes)

    def linear(self, x: str, output: str, k: int, n: int) -> str:
        product = self.node("MatMul", [x, self.normal(f"{output}_w", k, n, size=k**-0.5)], f"{output}_product")
        return self.node("Add", [product, self.normal(f"{output}_b", n, size=0.1)], output)

    def norm(self, x: str, output: str) -> str:
        names = [self.constant(f"{output}_gamma", np.ones(WIDTH)), self.normal(f"{output}_beta", WIDTH, size=0.1)]
        return self.node("LayerNormalization", [x, *names], output, axis=-1, epsilon=1e-12)

    def attention(self, x: str, tag: str, mask: str) -> str:
        split = self.constant("split", [0, 0, HEADS, WIDTH // HEADS], np.int64)
        parts = []
        for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            shaped = self.node("Reshape", [self.linear(x, f"{tag}_{part}", WIDTH, WIDTH), split], f"{tag}_{part}_split")
            parts.append(self.node("Transpose", [shaped], f"{tag}_{part}_heads", perm=order))
        scores = self.node("Add", [self.node("MatMul", parts[:2], f"{tag}_qk"), mask], f"{tag}_masked")
        shares = self.node("Softmax", [scores], f"{tag}_shares", axis=-1)
        back = self.node(
            "Transpose", [self.node("MatMul", [shares, parts[2]], f"{tag}_pv")], f"{tag}_back", perm=[0, 2, 1, 3]
        )
        joined = self.node("Reshape", [back, self.constant("join", [0, 0, WIDTH], np.int64)], f"{tag}_joined")
        return self.linear(joined, f"{tag}_out", WIDTH, WIDTH)

    def block(self, x: str, tag: str, mask: str) -> str:
        x = self.norm(self.node("Add", [self.attention(x, tag, mask), x], f"{tag}_sum1"), f"{tag}_norm1")
        hidden = self.node("Relu", [self.linear(x, f"{tag}_up", WIDTH, HIDDEN)], f"{tag}_hidden")
        down = self.linear(hidden, f"{tag}_down", HIDDEN, WIDTH)
        return self.norm(self.node("Add", [down, x], f"{tag}_sum2"), f"{tag}_norm2")

    def embedded(self, types: bool) -> str:
        words = self.node("Gather", [self.normal("words", len(vocabulary()), WIDTH), "input_ids"], "word")
        tokens = self.node("Shape", ["input_ids"], "tokens", start=1, end=2)
        zero = self.constant("zero", [0], np.int64)
        places = self.normal("places", PLACES, WIDTH, size=0.1)
        x = self.node("Add", [words, self.node("Slice", [places, zero, tokens, zero], "place")], "word_place")
        if types:
            kind = self.node("Gather", [self.normal("kinds", 2, WIDTH, size=0.1), "token_type_ids"], "kind")
            x = self.node("Add", [x, kind], "with_kind")
        return self.norm(x, "embedded")

    def pooled(self, x: str, shown: str) -> str:
        column = self.node("Unsqueeze", [shown, self.constant("last_axis", [2], np.int64)], "column")
        axis = self.constant("token_axis", [1], np.int64)
        total = self.node("ReduceSum", [self.node("Mul", [x, column], "kept"), axis], "total", keepdims=0)
        return self.node("Div", [total, self.node("ReduceSum", [column, axis], "count", keepdims=0)], "mean")


def encoder(
    *, classes: int | None = None, unit: bool = True, types: bool = True, blocks: int = BLOCKS, seed: int = 0
) -> onnx.ModelProto:
    """input_ids, attention_mask[, token_type_ids] (N, T) to embedding (N, WIDTH), or to logits (N, classes)."""
    b = Builder(seed)
    x = b.embedded(types)
    shown = b.node("Cast", ["attention_mask"], "shown", to=TensorProto.FLOAT)
    hidden = b.node("Sub", [b.constant("one", 1.0), shown], "hidden_tokens")
    wide = b.node("Unsqueeze", [hidden, b.constant("head_axes", [1, 2], np.int64)], "wide")
    mask = b.node("Mul", [wide, b.constant("masked", -1e4)], "mask")
    for index in range(blocks):
        x = b.block(x, f"b{index}", mask)
    mean = b.pooled(x, shown)
    if classes is not None:
        b.net.gemm(mean, "logits", WIDTH, classes)
        return _close(b.net, "logits", classes, types)
    b.node("LpNormalization" if unit else "Identity", [mean], "embedding", **({"axis": -1, "p": 2} if unit else {}))
    return _close(b.net, "embedding", WIDTH, types)


def _close(net: Net, output: str, width: int, types: bool) -> onnx.ModelProto:
    names = ("input_ids", "attention_mask", *(("token_type_ids",) if types else ()))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "T"]) for name in names]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", width])]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in net.weights.items()]
    graph = helper.make_graph(net.nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def spec_of(buckets: tuple[int, ...] = (8, 16, 32), *, types: bool = True, dtype: str = "int64") -> TextInput:
    """Inputs of `encoder`, of an embedding."""

    def port(name: str) -> TensorSpec:
        return TensorSpec(name, dtype, (None, None))

    kinds = port("token_type_ids") if types else None
    return TextInput(
        "embedding", "0" * 64, port("input_ids"), port("attention_mask"), kinds, 0, buckets[-1], buckets, True
    )


def write_encoder(folder: Path, *, max_tokens: int = 32, **options: object) -> Path:
    """model.onnx with its tokenizer.json and its longest text beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(encoder(**options).SerializeToString())
    (folder / "tokenizer.json").write_bytes(tokenizer_bytes())
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": max_tokens}))
    return path


def texts(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(class, text) of 8 to 28 words, in turn, no two alike; half of them are words of its class."""
    rng = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        kind = CLASSES[len(found) % len(CLASSES)]
        length = int(rng.integers(8, 29))
        own = [str(word) for word in rng.choice(WORDS[kind], length // 2)]
        rest = [str(word) for word in rng.choice(COMMON, length - len(own))]
        words = [*own, *rest]
        found.setdefault(" ".join(words[i] for i in rng.permutation(len(words))), kind)
    return [(kind, text) for text, kind in found.items()]


def write_texts(folder: Path, count: int, seed: int = 0, *, labels: bool = True) -> Path:
    """A folder of class folders, or a flat one."""
    for number, (kind, text) in enumerate(texts(count, seed)):
        path = folder / kind / f"{number}.txt" if labels else folder / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
