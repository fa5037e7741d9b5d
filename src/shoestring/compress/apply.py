"""Runs a recipe: every pass is held to what it requires before, and to what it ensures after."""

from __future__ import annotations

from pathlib import Path

import onnx

from shoestring.base import disk
from shoestring.base.errors import ModelError, UsageError
from shoestring.compress.graph import Graph
from shoestring.compress.passes import PASSES, Workshop
from shoestring.domain.recipe import Recipe


def apply(recipe: Recipe, graph: Graph, workshop: Workshop, target: Path) -> tuple[str, ...]:
    """Write the model that `recipe` makes of `graph`.

    Args:
        recipe: passes in order.
        graph: normalised, float32; not changed.
        workshop: what calibration found.
        target: file to write, whole or not at all.

    Returns:
        What the passes said.

    Raises:
        UsageError: the recipe names an unknown pass.
        ModelError: a pass cannot take this model, or broke its own promise; the message names pass and reason.
    """
    current = graph.copy()
    notes: list[str] = []
    for step in recipe.steps:
        transform = PASSES.get(step.name)
        if transform is None:
            raise UsageError(
                f"recipe {recipe.name!r} names an unknown pass {step.name!r}", hint=f"known: {', '.join(PASSES)}"
            )
        refusal = transform.requires(current, step.options)
        if refusal is not None:
            raise ModelError(f"recipe {recipe.name!r}: {step.name} cannot take this model: {refusal}")
        current, said = transform.run(current, step.options, workshop)
        broken = transform.ensures(current, step.options)
        if broken is not None:
            raise ModelError(f"recipe {recipe.name!r}: {step.name} broke its promise: {broken}")
        notes += said
    data = current.to_bytes()
    try:
        onnx.checker.check_model(data)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"recipe {recipe.name!r} made an invalid model: {str(error).splitlines()[0]}") from error
    disk.write_bytes(target, data)
    return tuple(notes)
