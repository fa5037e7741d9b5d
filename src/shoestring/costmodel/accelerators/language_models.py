"""What of a language model decides how fast it writes: the weights read for each token."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources

from shoestring.base.errors import UsageError


@dataclass(frozen=True)
class LanguageModel:
    """Counts that a model file's header gives.

    Args:
        name: of the network, whatever its quantization: it is left out as a whole.
        layers: blocks that run one after the other.
        body_params: weights of the blocks read for one token; of a mixture, the experts in use.
        head_params: weights of the output layer (also where it shares them with the input table).
        kv_elems: numbers that the key-value cache keeps for each token of context.
    """

    name: str
    layers: int
    body_params: float
    head_params: float
    kv_elems: int = 0

    def __post_init__(self) -> None:
        for name, value in (("layers", self.layers), ("body_params", self.body_params)):
            if not 0 < value < float("inf"):
                raise UsageError(f"{self.name}: {name} {value:g} must be above zero", hint="see the model's header")
        for name, value in (("head_params", self.head_params), ("kv_elems", self.kv_elems)):
            if not 0 <= value < float("inf"):
                raise UsageError(f"{self.name}: {name} {value:g} is below zero", hint="see the model's header")


def dense(
    name: str, *, layers: int, hidden: int, ffn: int, vocabulary: int, query: int, key_value: int
) -> LanguageModel:
    """A decoder with gated feed-forward blocks, from the dimensions in its header.

    Args:
        name: of the network.
        layers: blocks.
        hidden: width.
        ffn: width inside the feed-forward block.
        vocabulary: tokens.
        query: heads times head width.
        key_value: key-value heads times head width.

    Returns:
        Two products of query width, two of key-value width and three of the feed-forward block a layer, biases and
        norms left out (below a thousandth).
    """
    block = 2 * hidden * (query + key_value) + 3 * hidden * ffn
    return LanguageModel(name, layers, float(layers * block), float(vocabulary * hidden), layers * 2 * key_value)


@functools.cache
def known_language_models() -> dict[str, LanguageModel]:
    """Models of the table of measurements, by the names of its rows; several names can stand for one network."""
    text = (resources.files("shoestring.chips.published") / "language_models.csv").read_text(encoding="utf-8")
    return {
        line["model"]: LanguageModel(
            line["family"],
            int(line["layers"]),
            float(line["body_m"]) * 1e6,
            float(line["head_m"]) * 1e6,
            int(line["kv_elems"]),
        )
        for line in csv.DictReader(text.splitlines())
    }
