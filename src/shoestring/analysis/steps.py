"""The operators that run when an engine has fused what engines fuse.

They are those of ncnn's optimised graphs (Tencent/ncnn, `tools/ncnnoptimize.cpp` and `benchmark/models/*.param` at
a4d2ea1), which the published counts were taken from: an activation right behind a convolution belongs to it, a chain of
arithmetic on one tensor is one operator, and what only renames or re-types a tensor is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.analysis.buffers import VIEWS, reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shoestring.analysis.graphs import View

PRODUCTS = frozenset(
    ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "Gemm", "MatMul", "MatMulInteger", "QLinearMatMul")
)
_ALIASES = VIEWS | {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Dropout"}
_SIZES = frozenset(("Shape", "Size"))
_SUMS_OF_INTEGERS = frozenset(("ConvInteger", "MatMulInteger"))
_FOLDED = frozenset(("Relu", "Clip", "LeakyRelu", "Sigmoid"))


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_UNARY = _names(
    "Abs Cast Ceil Celu Clip Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish Neg Not PRelu "
    "Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Softplus Softsign Sqrt Swish Tanh ThresholdedRelu"
)
_ARITHMETIC = _names("Add Sub Mul Div Pow Min Max Mod Sum Mean")
_LOGIC = _names("And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual Where")
ELEMENTWISE = _UNARY | _ARITHMETIC | _LOGIC


@dataclass
class Step:
    """What runs as one operator.

    Args:
        nodes: of the graph; the first one gives the step its kind.
        inputs: tensors that it reads, each once, named after the first view of them.
        outputs: tensors that it writes.
        chain: it is arithmetic on one tensor, `inputs[0]`.
    """

    nodes: list[Any]
    inputs: list[str]
    outputs: list[str]
    chain: bool = False

    @property
    def kind(self) -> str:
        """Its operator, with the domain when it is not the default one."""
        first = self.nodes[0]
        return first.op_type if first.domain in ("", "ai.onnx") else f"{first.domain}.{first.op_type}"


@dataclass(frozen=True)
class Fused:
    """A graph as engines run it.

    Args:
        steps: in execution order.
        pinned: tensors that must outlive the last step, named as in the steps.
    """

    steps: tuple[Step, ...]
    pinned: frozenset[str]


def fuse(view: View) -> Fused:
    """The steps of a graph. Nodes inside its bodies are left to whoever asks about those.

    Args:
        view: with inferred shapes.
    """
    running, pinned = _running(view)
    readers: dict[str, int] = {}
    for name in (name for step in running for name in step.inputs):
        readers[name] = readers.get(name, 0) + 1
    for name in pinned:
        readers[name] = readers.get(name, 0) + 1
    kept: dict[int, Step] = {}
    made_by: dict[str, Step] = {}
    for step in running:
        makers = [made_by.get(name) if readers[name] == 1 else None for name in step.inputs]
        for behind in _absorbed(view, step, makers):
            del kept[id(behind)]
            step.nodes[:0] = behind.nodes
            step.inputs, step.chain = behind.inputs, behind.chain
        kept[id(step)] = step  # at the place of its last node, where all that it reads is ready
        made_by.update(dict.fromkeys(step.outputs, step))
    return Fused(tuple(kept.values()), pinned)


def _running(view: View) -> tuple[list[Step], frozenset[str]]:
    """A step for each node that computes, over tensors named after the first view of them; and what is pinned."""
    roots: dict[str, str] = {}
    sizes: set[str] = set()  # shapes, and scales of codes: a few numbers, which no engine spends time on
    running = []

    def rooted(names: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(roots.get(name, name) for name in names if name not in sizes))

    for node in view.nodes:
        written = view.activations(node.output)
        read = rooted(reads(view, node))
        if not written:
            continue
        if node.domain not in ("", "ai.onnx"):
            running.append(Step([node], read, written))
        elif node.op_type in _SIZES or (not read and any(node.input)):
            sizes.update(written)
        elif node.op_type in _ALIASES:
            roots[written[0]] = read[0]
            sizes.update(written[1:])
        else:
            chain = len(read) == 1 and node.op_type in _UNARY | _ARITHMETIC
            running.append(Step([node], read, written, chain))
    return running, frozenset(rooted(view.pinned))


def _absorbed(view: View, step: Step, makers: Sequence[Step | None]) -> list[Step]:
    """Earlier steps that `step` completes.

    Args:
        makers: who wrote each input, None where somebody else reads it too.
    """
    if step.chain:
        behind = makers[0]
        return [behind] if behind is not None and (behind.chain or _belongs(view, step, behind)) else []
    if step.kind not in _ARITHMETIC:
        return []
    # x * sigmoid(x) and its like: all that it reads goes back to one tensor.
    chains = [maker for maker in makers if maker is not None and maker.chain]
    direct = {name for name, maker in zip(step.inputs, makers, strict=True) if maker is None or not maker.chain}
    return chains if chains and len(direct | {maker.inputs[0] for maker in chains}) == 1 else []


def _belongs(view: View, step: Step, behind: Step) -> bool:
    """Whether arithmetic on the result of a convolution or matrix product is done inside it."""
    if behind.kind not in PRODUCTS:
        return False
    if behind.kind in _SUMS_OF_INTEGERS:
        return True
    bare = len(behind.nodes) == 1
    if behind.kind == "MatMul" and step.kind == "Add":
        return bare and any(name in view.stored for name in behind.nodes[0].input)
    return step.kind in _FOLDED and (bare or (behind.kind == "MatMul" and behind.nodes[-1].op_type == "Add"))
