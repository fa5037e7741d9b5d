"""Which recipes are worth trying on an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from shoestring.compress.candidates import LOWER, float_recipes
from shoestring.compress.candidates_matrix import TABLES, matrix_recipes
from shoestring.compress.graph import Graph
from shoestring.compress.scheme import Scheme
from shoestring.compress.stacked import find_stack
from shoestring.domain.recipe import Recipe, Step

LEAST_TOKENS = 16  # fewer first tokens say too little of any text
DYNAMIC, SMOOTH = "int8-dynamic", "int8-smooth"


def base_recipes(graph: Graph, scheme: Scheme) -> tuple[Recipe, ...]:
    """The reference, and every way to store and multiply all blocks in fewer bits."""
    return (
        float_recipes()[0],
        Recipe(
            DYNAMIC,
            "int8",
            (LOWER, *_int8(DYNAMIC, scheme)),
            "weights of 8 bits; ranges of activations, which vary from text to text, are found at run time",
        ),
        *matrix_recipes(graph, scheme),
    )


def smaller_recipes(
    graph: Graph, scheme: Scheme, faster: str, lengths: Sequence[int], longest: int
) -> tuple[Recipe, ...]:
    """Fewer blocks, fewer tokens, and both, in 8 bits.

    Args:
        graph: of the encoder.
        scheme: 8-bit types of the chip.
        faster: DYNAMIC or SMOOTH, whichever was measured to be faster.
        lengths: tokens of the calibration texts.
        longest: bucket.
    """
    stack = find_stack(graph)
    blocks = 0 if isinstance(stack, str) else stack.blocks
    drops = sorted({max(1, round(part * blocks)) for part in (1 / 6, 1 / 3, 1 / 2)} & set(range(1, blocks)))
    typical = sorted(lengths)[len(lengths) // 2]
    firsts = [tokens for tokens in (longest // 2, longest // 4) if LEAST_TOKENS <= tokens < typical]
    found = [_shorter(blocks, drop, None, faster, scheme) for drop in drops]
    found += [_shorter(blocks, 0, first, faster, scheme) for first in firsts]
    found += [_shorter(blocks, drop, first, faster, scheme) for first in firsts[:1] for drop in drops[1:2]]
    return tuple(found)


def _shorter(blocks: int, drop: int, first: int | None, kind: str, scheme: Scheme) -> Recipe:
    names, steps, why = [], [], []
    if first is not None:
        names.append(f"first{first}")
        steps.append(Step("first_tokens", {"tokens": first}))
        why.append(f"the first {first} tokens may say what a text is about")
    if drop:
        names.append(f"blocks{blocks - drop}")
        steps.append(Step("drop_blocks", {"drop": drop}))
        why.append(f"a linear map may stand for {drop} of {blocks} blocks")
    name = "-".join([*names, "int8"])
    return Recipe(name, "int8", (*steps, LOWER, *_int8(kind, scheme)), f"{', and '.join(why)}; the rest in 8 bits")


def _int8(kind: str, scheme: Scheme) -> tuple[Step, ...]:
    if kind == SMOOTH:
        return TABLES, Step("smooth", {"scheme": scheme.name}), Step("matrix_int8", {"scheme": scheme.name})
    return TABLES, Step("dynamic_int8", {"weight_bits": scheme.weight_bits})
