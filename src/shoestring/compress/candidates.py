"""Which recipes are worth trying on a model."""

from __future__ import annotations

from collections.abc import Sequence

from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted
from shoestring.compress.scheme import Scheme
from shoestring.domain.evidence import Sensitivity
from shoestring.domain.recipe import Recipe, Step

REFERENCE = "fp32"
LOWER = Step("lower_mean", {})
SHARED = (LOWER, Step("equalize", {}))
"""Rewrites of the float graph that all statically quantized candidates begin with."""
DYNAMIC_PART = 0.5
"""Dynamic ranges are tried where at least this part of the weights sits in matrix products."""


def float_recipes() -> tuple[Recipe, ...]:
    """Recipes that need no calibration."""
    return (
        Recipe(REFERENCE, "fp32", (LOWER,), "the original's own function, optimised; the reference", 0.0),
        Recipe(
            "fp16-weights", "fp16-weights", (LOWER, Step("fp16_weights", {})), "half the size at the speed of fp32", 0.0
        ),
    )


def dynamic_recipes(graph: Graph) -> tuple[Recipe, ...]:
    """int8-dynamic, for models that consist of matrix products."""
    sizes = dict.fromkeys(("Conv", "Gemm", "MatMul"), 0)
    for node in graph.nodes:
        if is_weighted(graph, node):
            sizes[node.op_type] += graph.weights[node.input[1]].size
    if sizes["Gemm"] + sizes["MatMul"] <= DYNAMIC_PART * sum(sizes.values()):
        return ()
    why = "most weights sit in matrix products, whose activation ranges vary with the input"
    return (Recipe("int8-dynamic", "int8", (LOWER, Step("dynamic_int8", {})), why),)


def static_recipes(
    scheme: Scheme, sensitivity: tuple[Sensitivity, ...], float_sets: Sequence[Sequence[str]], *, drift: bool
) -> tuple[Recipe, ...]:
    """int8 throughout, and with some layers in float.

    Args:
        scheme: integer types of the chip.
        sensitivity: of every weighted layer.
        float_sets: layers to leave in float; sets of the same size keep the first one's name and get a letter.
        drift: as `rounding.follow_drift` found.
    """
    total = sum(item.kl for item in sensitivity)
    recipes = [_static("int8", "int8", scheme, (), drift, f"8 bits throughout; {scheme.why}", total)]
    for kept in float_sets:
        spared = sum(item.kl for item in sensitivity if item.layer in kept)
        layers = "layer that causes" if len(kept) == 1 else "layers that cause"
        share = f"{100 * spared / total:.0f} % of the rounding error"
        why = f"the {len(kept)} {layers} {share}, at the least cost, stay in float"
        name = f"int8-float{len(kept)}"
        same = sum(recipe.name.rstrip("bcdefgh") == name for recipe in recipes)
        recipes.append(
            _static(name + "abcdefgh"[same] * (same > 0), "int8-mixed", scheme, tuple(kept), drift, why, total - spared)
        )
    return tuple(recipes)


def _static(
    name: str, precision: str, scheme: Scheme, kept: tuple[str, ...], drift: bool, why: str, loss: float
) -> Recipe:
    quantize = Step("static_int8", {"scheme": scheme.name, "float_layers": kept})
    steps = (*SHARED, quantize, Step("round_weights", {"scheme": scheme.name, "drift": drift}))
    return Recipe(name, precision, steps, why, loss)
