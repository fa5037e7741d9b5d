"""One file a disease; a new one is written beside the others and added to the list."""

from __future__ import annotations

from shoestring.diagnosis.diseases import (
    batch_norm_left,
    clipped_outputs,
    dead_channels,
    depthwise_one_scale,
    float_activations,
    fp16_overflow,
    islands,
    not_finite,
    open_shapes,
    outlier_weights,
    outside_operators,
    padding_constants,
    preprocessing,
    saturation,
    softmax_inside,
    uneven_channels,
)

DISEASES = (
    padding_constants.DISEASE,
    clipped_outputs.DISEASE,
    saturation.DISEASE,
    uneven_channels.DISEASE,
    islands.DISEASE,
    outside_operators.DISEASE,
    preprocessing.DISEASE,
    not_finite.DISEASE,
    dead_channels.DISEASE,
    outlier_weights.DISEASE,
    depthwise_one_scale.DISEASE,
    batch_norm_left.DISEASE,
    float_activations.DISEASE,
    softmax_inside.DISEASE,
    open_shapes.DISEASE,
    fp16_overflow.DISEASE,
)
"""In the order in which they are looked for."""
