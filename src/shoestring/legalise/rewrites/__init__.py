"""Rewrites of nodes and small patterns, by the names of rewrites.toml. Each is a question: what would stand here?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.legalise.rewrites import activations, arithmetic, grids, moves, windows
from shoestring.legalise.rewrites.change import Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.legalise.site import Site

REWRITES: dict[str, Callable[[Site], Change | None]] = {
    "abs-as-max": arithmetic.abs_as_max,
    "clip-as-min-max": activations.clip_as_min_max,
    "clip-as-relu": activations.clip_as_relu,
    "depth-to-space-as-transposed-conv": moves.depth_to_space_as_transposed_conv,
    "div-as-mul": arithmetic.div_as_mul,
    "flatten-as-reshape": moves.flatten_as_reshape,
    "gelu-as-erf": activations.gelu_as_erf,
    "gelu-as-tanh": activations.gelu_as_tanh,
    "gemm-as-conv": moves.gemm_as_conv,
    "hardsigmoid-as-clip": activations.hardsigmoid_as_clip,
    "hardswish-as-clip": activations.hardswish_as_clip,
    "hardswish-as-hardsigmoid": activations.hardswish_as_hardsigmoid,
    "layernorm-as-steps": arithmetic.layernorm_as_steps,
    "leaky-as-max": activations.leaky_as_max,
    "linear-as-half-pixel": grids.linear_as_half_pixel,
    "mean-as-pool": moves.mean_as_pool,
    "mish-as-tanh": activations.mish_as_tanh,
    "nearest-as-asymmetric": grids.nearest_as_asymmetric,
    "nearest-as-transposed-conv": grids.nearest_as_transposed_conv,
    "neg-as-mul": arithmetic.neg_as_mul,
    "pad-into-average": windows.pad_into_average,
    "pad-into-conv": windows.pad_into_conv,
    "pad-into-max": windows.pad_into_max,
    "pad-out-of-average": windows.pad_out_of_average,
    "pad-out-of-max": windows.pad_out_of_max,
    "pixel-shuffle-as-depth-to-space": moves.pixel_shuffle_as_depth_to_space,
    "pool-as-max": moves.pool_as_max,
    "pool-as-mean": moves.pool_as_mean,
    "prelu-as-parts": activations.prelu_as_parts,
    "reciprocal-as-div": arithmetic.reciprocal_as_div,
    "shuffle-as-conv": moves.shuffle_as_conv,
    "shuffle-in-four": moves.shuffle_in_four,
    "silu-as-hardswish": activations.silu_as_hardswish,
    "softmax-as-vector": moves.softmax_as_vector,
    "split-as-slices": moves.split_as_slices,
    "square-as-mul": arithmetic.square_as_mul,
    "squeeze-as-reshape": moves.squeeze_as_reshape,
    "steps-as-pool": windows.steps_as_pool,
    "sum-as-adds": arithmetic.sum_as_adds,
    "swish-as-sigmoid": activations.swish_as_sigmoid,
}
"""A test holds these names and those of rewrites.toml to each other."""

__all__ = ["REWRITES", "Change"]
