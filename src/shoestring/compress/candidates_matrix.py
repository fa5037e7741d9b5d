"""Recipes for networks whose weights sit in matrix products, and narrow weights for all."""

from __future__ import annotations

from shoestring.compress.candidates import DYNAMIC_PART, LOWER
from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted
from shoestring.compress.matrix import products
from shoestring.compress.scheme import Scheme, schemes
from shoestring.domain.recipe import Option, Recipe, Step

BLOCK = 32
TABLES = Step("tables_int8", {})


def matrix_recipes(graph: Graph, scheme: Scheme) -> tuple[Recipe, ...]:
    """Recipes for a graph most of whose weights are read by MatMul or Gemm; none for others.

    Args:
        graph: float32.
        scheme: 8-bit types of the chip.
    """
    if _part_in_products(graph) <= DYNAMIC_PART:
        return ()
    choice: dict[str, Option] = {"scheme": scheme.name}
    smoothed = Recipe(
        "int8-smooth",
        "int8",
        (LOWER, TABLES, Step("smooth", choice), Step("matrix_int8", choice)),
        "outliers of activations move into the weights, so that fixed 8-bit ranges fit",
    )
    return (
        smoothed,
        _blocks("w4-gptq", "w4", 0, "weights of 4 bits: an eighth of the bytes to read for each product"),
        _blocks("w4a8-gptq", "int8-w4", 4, "the same with activations in 8 bits, ranges found at run time"),
    )


def narrow_recipe(scheme: Scheme) -> Recipe:
    """w4a8: weights of 4 bits in every Conv, Gemm and MatMul, beside the chip's 8-bit activations."""
    suited = next(row for row in schemes() if row.by_recipe and row.activation == scheme.activation)
    steps = (LOWER, Step("narrow_weights", {"scheme": suited.name}), Step("correct_bias", {}))
    return Recipe("w4a8", "int8", steps, suited.why)


def half_recipe(kind: str = "fp16") -> Recipe:
    """Arithmetic in 16 bits, for chips that have it.

    Args:
        kind: `fp16` or `bf16`.
    """
    return Recipe(
        kind, kind, (LOWER, Step("half", {"kind": kind})), f"half the bytes to move, and {kind} units are used"
    )


def _blocks(name: str, precision: str, accuracy_level: int, why: str) -> Recipe:
    options: dict[str, Option] = {"method": "gptq", "block": BLOCK, "accuracy_level": accuracy_level}
    return Recipe(name, precision, (LOWER, TABLES, Step("weights_nbits", options)), why)


def _part_in_products(graph: Graph) -> float:
    """Part of the weights of weighted layers that sits in matrix products."""
    total = sum(graph.weights[node.input[1]].size for node in graph.nodes if is_weighted(graph, node))
    return sum(graph.weights[node.input[1]].size for node in products(graph)) / total if total else 0.0
