"""Transformations of a graph, one a file. Each states what it requires and ensures; `apply` holds it to both."""

from shoestring.compress.passes.correct_bias import CorrectBias
from shoestring.compress.passes.drop_blocks import DropBlocks
from shoestring.compress.passes.dynamic_int8 import DynamicInt8
from shoestring.compress.passes.equalize import Equalize
from shoestring.compress.passes.first_tokens import FirstTokens
from shoestring.compress.passes.fp16_weights import Fp16Weights
from shoestring.compress.passes.half import Half
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.passes.matrix_int8 import MatrixInt8
from shoestring.compress.passes.narrow_weights import NarrowWeights
from shoestring.compress.passes.protocol import Options, Pass, Workshop
from shoestring.compress.passes.round_weights import RoundWeights
from shoestring.compress.passes.smooth import Smooth
from shoestring.compress.passes.static_int8 import StaticInt8
from shoestring.compress.passes.tables_int8 import TablesInt8
from shoestring.compress.passes.weights_nbits import WeightsNBits

PASSES: dict[str, Pass] = {
    step.name: step
    for step in (
        LowerMean(),
        Equalize(),
        StaticInt8(),
        CorrectBias(),
        RoundWeights(),
        Fp16Weights(),
        DynamicInt8(),
        NarrowWeights(),
        Smooth(),
        MatrixInt8(),
        WeightsNBits(),
        Half(),
        TablesInt8(),
        DropBlocks(),
        FirstTokens(),
    )
}

__all__ = ["PASSES", "Options", "Pass", "Workshop"]
