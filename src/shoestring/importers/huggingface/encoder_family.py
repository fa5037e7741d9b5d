"""Encoders of BERT's shape: how each family names its settings and tensors.

BERT: Devlin et al., 2018, arXiv 1810.04805. RoBERTa: Liu et al., 2019, arXiv 1907.11692. DistilBERT: Sanh et al., 2019,
arXiv 1910.01108. Names are those of Hugging Face's classes of these models.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import ModelError
from shoestring.importers.huggingface.fields import Fields

MAX_LAYERS, MAX_WIDTH, MAX_HEADS = 1_024, 65_536, 1_024  # far beyond any published encoder
MAX_VOCABULARY, MAX_POSITIONS = 4_000_000, 1 << 20
ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "relu": "relu"}
"""Of the hidden layer: which formula each word stands for."""


@dataclass(frozen=True)
class Family:
    """Names in one family.

    Args:
        prefix: of the encoder's tensors where a head stands beside it.
        settings: keys of config.json for layers, width, heads, hidden, activation.
        layer: prefix of a layer's tensors, with `{}` for its index.
        parts: names of a layer's linear layers and norms, in our words.
        types: whether there is a table of token types.
        first_after_padding: whether positions count from the padding id + 1 on, as fairseq's do.
        pooled: linear layers of a classification head before its last one, each with the function after it.
        last: the last linear layer of that head.
    """

    prefix: str
    settings: tuple[str, str, str, str, str]
    layer: str
    parts: dict[str, str]
    types: bool
    first_after_padding: bool
    pooled: tuple[str, str]
    last: str


_BERT_SETTINGS = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "hidden_act")
_BERT_PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "hidden": "intermediate.dense",
    "out": "output.dense",
    "norm2": "output.LayerNorm",
}
_DISTILBERT_PARTS = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "attended": "attention.out_lin",
    "norm1": "sa_layer_norm",
    "hidden": "ffn.lin1",
    "out": "ffn.lin2",
    "norm2": "output_layer_norm",
}
_ROBERTA = Family(
    "roberta.", _BERT_SETTINGS, "encoder.layer.{}.", _BERT_PARTS, True, True, ("classifier.dense", "Tanh"),
    "classifier.out_proj",
)  # fmt: skip
FAMILIES = {
    "bert": Family(
        "bert.", _BERT_SETTINGS, "encoder.layer.{}.", _BERT_PARTS, True, False, ("bert.pooler.dense", "Tanh"),
        "classifier",
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": Family(
        "distilbert.", ("n_layers", "dim", "n_heads", "hidden_dim", "activation"), "transformer.layer.{}.",
        _DISTILBERT_PARTS, False, False, ("pre_classifier", "Relu"), "classifier",
    ),
}  # fmt: skip
_DISTILBERT_EPSILON, _BERT_EPSILON = 1e-12, 1e-12  # DistilBERT's config does not state it


@dataclass(frozen=True)
class Shape:
    """One encoder's sizes.

    Args:
        family: of its names.
        layers, width, heads, hidden: as usual.
        epsilon: of the normalisations.
        activation: `erf` or `tanh` (both GELU; Hendrycks and Gimpel, 2016, arXiv 1606.08415) or `relu`.
        vocabulary: rows of the embedding.
        positions: rows of the table of positions.
        first_position: the row of a text's first token.
        types: rows of the table of token types, 0 where there is none.
    """

    family: Family
    layers: int
    width: int
    heads: int
    hidden: int
    epsilon: float
    activation: str
    vocabulary: int
    positions: int
    first_position: int
    types: int

    @property
    def max_tokens(self) -> int:
        """The longest text that has positions."""
        return self.positions - self.first_position


def shape_of(config: Fields) -> Shape:
    """The sizes that a config.json states.

    Raises:
        ModelError: a family, activation or kind of position that is not known, by name; or sizes that make no sense.
    """
    family = FAMILIES.get(config.text("model_type"))
    if family is None:
        raise ModelError(
            f"{config.where} states model_type = {config.text('model_type')!r:.80}, which is not read as an encoder",
            hint=f"known are {', '.join(FAMILIES)}",
        )
    _check_variant(config)
    layers, width, heads, hidden, activation = family.settings
    named = config.text(activation, "gelu")
    if named not in ACTIVATIONS:
        raise config.wrong(activation, f"known are {', '.join(ACTIVATIONS)}")
    padding = config.integer("pad_token_id", 0, MAX_VOCABULARY, 1) if family.first_after_padding else -1
    shape = Shape(
        family=family,
        layers=config.integer(layers, 1, MAX_LAYERS),
        width=config.integer(width, 1, MAX_WIDTH),
        heads=config.integer(heads, 1, MAX_HEADS),
        hidden=config.integer(hidden, 1, 4 * MAX_WIDTH),
        epsilon=config.number("layer_norm_eps", _BERT_EPSILON) if family.types else _DISTILBERT_EPSILON,
        activation=ACTIVATIONS[named],
        vocabulary=config.integer("vocab_size", 1, MAX_VOCABULARY),
        positions=config.integer("max_position_embeddings", 1, MAX_POSITIONS),
        first_position=padding + 1,
        types=config.integer("type_vocab_size", 1, MAX_WIDTH, 2) if family.types else 0,
    )
    if shape.width % shape.heads:
        raise ModelError(f"{config.where}: a width of {shape.width} is no multiple of {shape.heads} heads")
    if shape.max_tokens < 1:
        raise ModelError(f"{config.where}: {shape.positions} positions leave none after padding id {padding}")
    if not 0 < shape.epsilon < 1:
        raise config.wrong("layer_norm_eps", "expected a number between 0 and 1")
    return shape


def _check_variant(config: Fields) -> None:
    """Settings that change what the network computes, beyond what is built here."""
    if config.text("position_embedding_type", "absolute") != "absolute":
        raise config.wrong("position_embedding_type", "and only absolute positions are read")
    for key in ("is_decoder", "add_cross_attention", "sinusoidal_pos_embds"):
        # Sinusoids, where a DistilBERT has them, are stored as a table like any other.
        if config.flag(key, False) and key != "sinusoidal_pos_embds":
            raise config.wrong(key, "and only encoders are read")
    if config.get("quantization_config") is not None:
        raise ModelError(
            f"{config.where} has a quantization_config", hint="fetch the model as it was trained, in 16 or 32 bits"
        )
