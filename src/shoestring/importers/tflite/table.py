"""Which operator is written by which function, and what to say of those that are not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from shoestring.base.errors import ModelError
from shoestring.importers.tflite import convolutions, elementwise, reductions, shapes, spatial
from shoestring.importers.tflite.elementwise import binary, clipped, plain_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph

WRITERS: dict[str, Callable[[Graph, Operator], None]] = {
    "ABS": plain_node("Abs"),
    "ADD": binary("Add"),
    "ADD_N": elementwise.add_n,
    "ARG_MAX": reductions.arg("ArgMax"),
    "ARG_MIN": reductions.arg("ArgMin"),
    "AVERAGE_POOL_2D": spatial.pool("AveragePool"),
    "BATCH_MATMUL": convolutions.batch_matmul,
    "BATCH_TO_SPACE_ND": spatial.batch_to_space,
    "BROADCAST_TO": shapes.broadcast_to,
    "CAST": elementwise.cast,
    "CEIL": plain_node("Ceil"),
    "CONCATENATION": shapes.concatenation,
    "CONV_2D": convolutions.conv_2d,
    "COS": plain_node("Cos"),
    "CUMSUM": reductions.cumsum,
    "DENSIFY": elementwise.same,
    "DEPTHWISE_CONV_2D": convolutions.depthwise_conv_2d,
    "DEPTH_TO_SPACE": spatial.depth_to_space,
    "DEQUANTIZE": elementwise.same,
    "DIV": binary("Div"),
    "ELU": plain_node("Elu", alpha=1.0),
    "EQUAL": plain_node("Equal"),
    "EXP": plain_node("Exp"),
    "EXPAND_DIMS": shapes.reshape,
    "FILL": shapes.fill,
    "FLOOR": plain_node("Floor"),
    "FLOOR_DIV": elementwise.floor_div,
    "FLOOR_MOD": elementwise.floor_mod,
    "FULLY_CONNECTED": convolutions.fully_connected,
    "GATHER": shapes.gather,
    "GATHER_ND": shapes.gather_nd,
    "GELU": elementwise.gelu,
    "GREATER": plain_node("Greater"),
    "GREATER_EQUAL": plain_node("GreaterOrEqual"),
    "HARD_SWISH": plain_node("HardSwish"),
    "L2_NORMALIZATION": elementwise.l2_normalization,
    "LEAKY_RELU": elementwise.leaky_relu,
    "LESS": plain_node("Less"),
    "LESS_EQUAL": plain_node("LessOrEqual"),
    "LOG": plain_node("Log"),
    "LOGICAL_AND": plain_node("And"),
    "LOGICAL_NOT": plain_node("Not"),
    "LOGICAL_OR": plain_node("Or"),
    "LOGISTIC": plain_node("Sigmoid"),
    "LOG_SOFTMAX": elementwise.softmax("LogSoftmax"),
    "MAXIMUM": plain_node("Max"),
    "MAX_POOL_2D": spatial.pool("MaxPool"),
    "MEAN": reductions.reduce("ReduceMean"),
    "MINIMUM": plain_node("Min"),
    "MIRROR_PAD": spatial.mirror_pad,
    "MUL": binary("Mul"),
    "NEG": plain_node("Neg"),
    "NOT_EQUAL": elementwise.negated("Equal"),
    "PACK": shapes.pack,
    "PAD": spatial.pad,
    "PADV2": spatial.pad,
    "POW": plain_node("Pow"),
    "PRELU": plain_node("PRelu"),
    "QUANTIZE": elementwise.same,
    "REDUCE_MAX": reductions.reduce("ReduceMax"),
    "REDUCE_MIN": reductions.reduce("ReduceMin"),
    "REDUCE_PROD": reductions.reduce("ReduceProd"),
    "RELU": plain_node("Relu"),
    "RELU6": clipped(0.0, 6.0),
    "RELU_0_TO_1": clipped(0.0, 1.0),
    "RELU_N1_TO_1": clipped(-1.0, 1.0),
    "RESHAPE": shapes.reshape,
    "RESIZE_BILINEAR": spatial.resize("linear"),
    "RESIZE_NEAREST_NEIGHBOR": spatial.resize("nearest"),
    "ROUND": plain_node("Round"),
    "RSQRT": elementwise.rsqrt,
    "SELECT": elementwise.select,
    "SELECT_V2": elementwise.select,
    "SHAPE": shapes.shape_,
    "SIGN": plain_node("Sign"),
    "SIN": plain_node("Sin"),
    "SLICE": shapes.slice_,
    "SOFTMAX": elementwise.softmax("Softmax"),
    "SPACE_TO_BATCH_ND": spatial.space_to_batch,
    "SPACE_TO_DEPTH": spatial.space_to_depth,
    "SPLIT": shapes.split,
    "SPLIT_V": shapes.split_v,
    "SQRT": plain_node("Sqrt"),
    "SQUARE": elementwise.square,
    "SQUARED_DIFFERENCE": elementwise.squared_difference,
    "SQUEEZE": shapes.reshape,
    "STRIDED_SLICE": shapes.strided_slice,
    "SUB": binary("Sub"),
    "SUM": reductions.reduce("ReduceSum"),
    "TANH": plain_node("Tanh"),
    "TILE": shapes.tile,
    "TOPK_V2": reductions.top_k,
    "TRANSPOSE": shapes.transpose,
    "TRANSPOSE_CONV": convolutions.transpose_conv,
    "UNPACK": shapes.unpack,
    "ZEROS_LIKE": shapes.fill,
}

_STATE = "the network keeps a state between runs; export one step with its state as inputs and outputs"
_FLEX = "it needs TensorFlow itself; convert the model with builtin operators only"
_WAYS_OUT = {
    "TFLITE_DETECTION_POSTPROCESS": "convert the model without its post-processing, so that raw boxes and scores are "
    "the outputs (for the Object Detection API: export_tflite_graph without NMS), and decode them outside",
    "EDGETPU-CUSTOM-OP": "edgetpu_compiler has been over it; give the file that it was compiled from",
    "VAR_HANDLE": _STATE,
    "READ_VARIABLE": _STATE,
    "ASSIGN_VARIABLE": _STATE,
    "CALL_ONCE": _STATE,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "convert the model with its LSTM unrolled",
    "NON_MAX_SUPPRESSION_V4": "cut the model before it, and choose boxes outside",
    "NON_MAX_SUPPRESSION_V5": "cut the model before it, and choose boxes outside",
}
_MAX_NAMED = 8


def check_operators(operators: tuple[Operator, ...]) -> None:
    """Raise ModelError, naming them all, when there are operators that cannot become ONNX here."""
    unknown = Counter(one.custom or one.kind for one in operators if one.kind not in WRITERS)
    if not unknown:
        return
    named = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items())[:_MAX_NAMED])
    more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
    ways = [_FLEX if name.upper().startswith("FLEX") else _WAYS_OUT.get(name.upper()) for name in sorted(unknown)]
    raise ModelError(
        f"the file uses operators that do not become ONNX: {named}{more}",
        hint=next((way for way in ways if way), "convert the model without them, or export it to ONNX at its source"),
    )
