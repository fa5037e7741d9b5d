"""4-bit blocks: the layout is ONNX Runtime's, rounding does what it says, the operator computes it."""

from __future__ import annotations

import numpy as np
import pytest

from encoders import close, encoder, linear, tokens
from nets import Net, bare_workshop, run
from shoestring.base.errors import UsageError
from shoestring.base.outputs import sqnr_db
from shoestring.compress import sequential
from shoestring.compress.apply import apply
from shoestring.compress.blocks import (
    best_grid,
    gptq_metric,
    pack,
    pack_zeros,
    range_grid,
    round_gptq,
    round_nearest,
    unpack,
)
from shoestring.compress.descent import quadratic_error
from shoestring.compress.graph import Graph, make_node
from shoestring.compress.matrix import products
from shoestring.compress.passes import PASSES, Workshop
from shoestring.compress.sequential import round_in_order
from shoestring.domain.recipe import Recipe, Step

X = tokens(24)
RNG = np.random.default_rng(0)
ROWS = RNG.normal(0, 1, (24, 96)) * np.exp(RNG.normal(0, 0.5, (24, 1)))
MIX = RNG.normal(0, 1, (96, 96)) * np.exp(RNG.normal(0, 1, 96))
GRAM = MIX.T @ MIX / 96


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return bare_workshop([{"x": X[i : i + 4]} for i in range(0, 16, 4)])


@pytest.mark.parametrize("block", [16, 32, 64])
@pytest.mark.parametrize("symmetric", [True, False])
def test_layout_and_scales_are_those_of_onnx_runtimes_own_quantizer(block: int, symmetric: bool) -> None:
    native = pytest.importorskip("onnxruntime.capi._pybind_state")
    rows = ROWS[:, :80].astype(np.float32)
    count = -(-80 // block)
    packed = np.zeros((24, count, block // 2), np.uint8)
    scales, zeros = np.zeros(24 * count, np.float32), np.zeros(24 * -(-count // 2), np.uint8)
    columns = np.ascontiguousarray(rows.T)
    native.quantize_matmul_4bits(packed, columns, scales, zeros, block, 24, 80, symmetric)
    grid = range_grid(rows.astype(np.float64), block, symmetric=symmetric)
    mine = pack(round_nearest(rows.astype(np.float64), grid), block)
    assert mine.shape == packed.shape
    assert np.allclose(grid.scales.reshape(-1), scales, rtol=1e-5)
    assert np.mean(unpack(mine, 80) == unpack(packed, 80)) > 0.99  # ties and the last bit of a scale may differ
    if not symmetric:
        mine, theirs = (unpack(part.reshape(24, -1), count) for part in (pack_zeros(grid.zeros), zeros))
        assert np.mean(mine == theirs) > 0.99


def test_pack_is_undone_by_unpack() -> None:
    integers = RNG.integers(0, 16, (5, 50))
    assert np.array_equal(unpack(pack(integers, 32), 50), integers)


def test_each_way_of_rounding_is_better_by_its_own_measure() -> None:
    plain, shrunk = range_grid(ROWS, 32, symmetric=False), best_grid(ROWS, 32, symmetric=False)
    nearest, searched = plain.real(round_nearest(ROWS, plain)), shrunk.real(round_nearest(ROWS, shrunk))
    assert np.sum((searched - ROWS) ** 2) < np.sum((nearest - ROWS) ** 2)
    learned = shrunk.real(round_gptq(ROWS, shrunk, gptq_metric(GRAM)))
    assert quadratic_error(ROWS, learned, GRAM).sum() < 0.7 * quadratic_error(ROWS, searched, GRAM).sum()


def test_gptq_on_independent_inputs_is_nearest_rounding() -> None:
    grid = range_grid(ROWS, 32, symmetric=True)
    assert np.array_equal(round_gptq(ROWS, grid, gptq_metric(np.eye(96))), round_nearest(ROWS, grid))


def dequantised(graph: Graph) -> Graph:
    """The same model with each MatMulNBits as a float MatMul of what its integers stand for."""
    plain = graph.copy()
    for index, node in enumerate(plain.nodes):
        if node.op_type != "MatMulNBits":
            continue
        attributes = {item.name: item.i for item in node.attribute}
        k, n, block = attributes["K"], attributes["N"], attributes["block_size"]
        integers = unpack(plain.weights[node.input[1]], k).astype(np.float32)
        blocks = -(-k // block)
        scales = np.repeat(plain.weights[node.input[2]].reshape(n, blocks), block, axis=1)[:, :k]
        if len(node.input) > 3:
            zeros = np.repeat(unpack(plain.weights[node.input[3]].reshape(n, -1), blocks), block, axis=1)[:, :k]
        else:
            zeros = np.full((n, k), 8)
        plain.weights[f"{node.name}/real"] = np.ascontiguousarray((scales * (integers - zeros)).T.astype(np.float32))
        plain.nodes[index] = make_node("MatMul", [node.input[0], f"{node.name}/real"], [node.output[0]], node.name)
    plain.reindex()
    return plain


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("method", ["nearest", "search", "gptq"])
def test_the_operator_computes_the_dequantised_product(method: str, symmetric: bool, workshop: Workshop) -> None:
    options = {"method": method, "block": 32, "symmetric": symmetric}
    graph, _ = PASSES["weights_nbits"].run(Graph(encoder()), options, workshop)
    assert np.allclose(run(graph.to_bytes(), X), run(dequantised(graph).to_bytes(), X), rtol=1e-3, atol=1e-3)


def test_a_wrong_zero_point_is_caught(workshop: Workshop) -> None:
    graph, _ = PASSES["weights_nbits"].run(Graph(encoder()), {"method": "nearest"}, workshop)
    right = run(dequantised(graph).to_bytes(), X)
    for name in graph.weights:
        if name.endswith("/zeros"):
            graph.weights[name] = graph.weights[name] ^ np.uint8(0x10)
    assert not np.allclose(run(graph.to_bytes(), X), right, rtol=1e-3, atol=1e-3)


def test_int8_activations_are_near(workshop: Workshop) -> None:
    options = {"method": "search", "block": 32, "accuracy_level": 4}
    graph, notes = PASSES["weights_nbits"].run(Graph(encoder()), options, workshop)
    found, exact = run(graph.to_bytes(), X), run(dequantised(graph).to_bytes(), X)
    assert sqnr_db(exact, found) > 20
    assert "int8 activations" in notes[0]


def test_gptq_is_nearer_to_the_original_than_nearest(workshop: Workshop) -> None:
    exact = run(Graph(encoder()).to_bytes(), X)
    noise = {}
    for method in ("nearest", "gptq"):
        graph, _ = PASSES["weights_nbits"].run(Graph(encoder()), {"method": method, "block": 64}, workshop)
        noise[method] = sqnr_db(exact, run(graph.to_bytes(), X))
    assert noise["gptq"] > noise["nearest"] + 2


@pytest.mark.parametrize("gemm", [True, False])
def test_later_products_are_rounded_on_what_earlier_ones_give(gemm: bool) -> None:
    net = Net(3)
    pooled = net.node("ReduceMean", ["x"], "pooled", axes=[1], keepdims=0)
    hidden = linear(net, pooled, "up", 32, 48, gemm=gemm)
    linear(net, hidden, "logits", 48, 10, gemm=gemm)
    graph = Graph(close(net))
    x = tokens(400)
    last = "n_logits" if gemm else "n_logits_product"
    made = round_in_order(graph, products(graph), [{"x": x}], 1, 16, symmetric=False)
    exact = run(graph.to_bytes(), x)

    def noise(order: dict) -> float:
        rounded = graph.copy()
        for node in products(rounded):
            integers, grid = order[node.name]
            sequential._put(rounded, node, grid.real(integers))
        return sqnr_db(exact, run(rounded.to_bytes(), x))

    alone = {**made}
    only_last = round_in_order(
        graph, [n for n in products(graph) if n.name == last], [{"x": x}], 1, 16, symmetric=False
    )
    assert set(only_last) == {last}
    alone[last] = only_last[last]
    assert noise(made) > noise(alone) + 0.5


def test_the_file_is_an_eighth_and_named_layers_stay(tmp_path, workshop: Workshop) -> None:
    graph = Graph(encoder())
    kept = ("n_logits",)
    recipe = Recipe("w4", "w4", (Step("weights_nbits", {"float_layers": kept}),), "test")
    (note,) = apply(recipe, graph, workshop, tmp_path / "w4.onnx")
    made = Graph.load(tmp_path / "w4.onnx")
    assert next(node for node in made.nodes if node.name == "n_logits").op_type == "Gemm"
    packed = sum(value.size for name, value in made.weights.items() if name.endswith("/q4"))
    floats = sum(value.size for name, value in graph.weights.items() if name.endswith("_w")) - 320
    assert packed * 2 == floats
    assert "6 matrix products" in note


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "magic"),
        ({"block": 48}, "48"),
        ({"accuracy_level": 3}, "3"),
    ],
)
def test_bad_options_are_named(options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PASSES["weights_nbits"].requires(Graph(encoder()), options)
