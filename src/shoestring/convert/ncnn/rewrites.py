"""What to write instead of operators that ncnn's layers, as this converter uses them, cannot express."""

from __future__ import annotations

_REWRITES = {
    "NonMaxSuppression": "end the model at boxes and scores; suppress outside",
    "TopK": "end the model at the scores; choose outside",
    "ArgMax": "end the model at the scores; the largest is found outside",
    "ArgMin": "end the model at the scores; the smallest is found outside",
    "NonZero": "end the model before it",
    "Einsum": "write it as Transpose, Reshape and MatMul",
    "SpaceToDepth": "write it as Reshape, Transpose, Reshape",
    "Where": "write it as Mul by a constant mask and Add",
    "Expand": "leave it out where it stands before Add, Mul, Sub or Div, which broadcast",
    "Tile": "write it as a Concat of the same tensor",
    "GroupNormalization": "write it as Reshape, InstanceNormalization, Reshape, Mul, Add",
    "GroupNorm": "write it as Reshape, InstanceNormalization, Reshape, Mul, Add",
    "RMSNormalization": "write it as Mul, ReduceMean, Add, Sqrt, Div, Mul",
    "LogSoftmax": "write it as Softmax and Log",
    "Selu": "write it as Elu and Mul",
    "Celu": "write it as Elu",
    "ThresholdedRelu": "write it as Relu where the threshold is 0",
    "LSTM": "run this model with another runtime",
    "GRU": "run this model with another runtime",
    "RNN": "run this model with another runtime",
    "Loop": "unroll it when exporting",
    "If": "export the branch that is taken",
    "Scan": "unroll it when exporting",
    "com.microsoft.Gelu": "write it as Gelu of operator set 20, or with Erf",
    "com.microsoft.FastGelu": "write it as Gelu of operator set 20 with approximate=tanh",
}


def rewrite(operator: str) -> str:
    """The reason against an operator that has no layer, with what to do."""
    return f"no layer does it; {_REWRITES.get(operator, 'write it with operators that docs/convert-ncnn.md lists')}"
