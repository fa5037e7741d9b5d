"""Second-order rounding: columns are those of the convolution, errors shrink, the quantized graph stays sound."""

from __future__ import annotations

import numpy as np
import pytest

from nets import Net, images, make_workshop, residual_graph, run
from saturation import needs_exact_products
from shoestring.base.outputs import mean_kl, sqnr_db
from shoestring.compress.bias import correct_biases, float_means
from shoestring.compress.graph import Graph
from shoestring.compress.quantize import to_qdq
from shoestring.compress.rounding import follow_drift, round_layers, solve
from shoestring.compress.rounding.columns import Window, image_columns, sample_positions
from shoestring.compress.rounding.gptq import gptq, gptq_single, nearest
from shoestring.compress.rounding.moments import Moments, moments
from shoestring.compress.rounding.solve import best_scales, moved_targets
from shoestring.compress.scheme import Scheme, scheme_named

X = images(48)
RNG = np.random.default_rng(3)


def correlated(k: int, samples: int = 400, seed: int = 0) -> np.ndarray:
    """(k, k) covariance of inputs that hang together."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, k)) @ rng.normal(size=(k, k)) + rng.normal(size=(samples, 1)) * 3
    return np.cov(x.T)


def noise(rows: np.ndarray, integers: np.ndarray, scales: np.ndarray, covariance: np.ndarray) -> float:
    error = rows - integers * scales[:, None]
    return float(np.einsum("rk,kl,rl->", error, covariance, error))


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(("stride", "pad", "dilation"), [(1, 1, 1), (2, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_columns_are_what_the_convolution_sees(groups: int, stride: int, pad: int, dilation: int) -> None:
    net = Net(1)
    weight = RNG.normal(size=(6, 6 // groups, 3, 3)).astype(np.float32)
    names = ["image", net.constant("w", weight)]
    geometry = {"group": groups, "strides": [stride] * 2, "pads": [pad] * 4, "dilations": [dilation] * 2}
    net.node("Conv", names, "logits", **geometry)
    x = RNG.normal(size=(1, 6, 9, 11)).astype(np.float32)
    wanted = run(net.model(["N", 6, 9, 11], ["N", 6, "H", "W"]).SerializeToString(), x)[0]
    window = Window.of(net.nodes[0], weight)
    assert window is not None
    assert window.output_size(9, 11) == wanted.shape[1:]
    positions = sample_positions(window, 9, 11, 7, np.random.default_rng(0))
    assert len(set(positions.tolist())) == 7
    columns = image_columns(x[0], window, positions)
    found = (weight.reshape(groups, 6 // groups, -1) @ columns).reshape(6, -1)
    assert np.allclose(found, wanted.reshape(6, -1)[:, positions], atol=1e-5)


def test_automatic_padding_is_not_guessed() -> None:
    net = Net()
    net.node("Conv", ["image", net.constant("w", np.zeros((1, 1, 3, 3), np.float32))], "y", auto_pad="SAME_UPPER")
    assert Window.of(net.nodes[0], net.weights["w"]) is None


def test_moments_by_hand() -> None:
    given, meant = RNG.normal(1, 2, (200, 5)).astype(np.float32), RNG.normal(0, 1, (200, 5)).astype(np.float32)
    seen = moments([given[:50], given[50:]], [meant[:50], meant[50:]], None)
    assert seen.samples == 200
    assert np.allclose(seen.covariance[0], np.cov(given.T, ddof=0), atol=1e-4)
    drift = meant - given
    expected = ((drift - drift.mean(0)).T @ (given - given.mean(0))) / 200
    assert np.allclose(seen.drift[0], expected, atol=1e-4)


@pytest.mark.parametrize("limit", [7, 127])
@pytest.mark.parametrize("k", [9, 150])
def test_gptq_errs_less_than_rounding_to_nearest(k: int, limit: int) -> None:
    rows, covariance = RNG.normal(size=(12, k)), correlated(k)
    scales = np.abs(rows).max(axis=1) / limit
    found, plain = gptq(rows, scales, covariance, limit), nearest(rows, scales, limit)
    assert np.abs(found).max() <= limit
    assert np.array_equal(found, np.rint(found))
    assert noise(rows, found, scales, covariance) < 0.9 * noise(rows, plain, scales, covariance)


def test_with_independent_inputs_gptq_is_rounding_to_nearest() -> None:
    rows = RNG.normal(size=(5, 20))
    scales = np.abs(rows).max(axis=1) / 127
    assert np.array_equal(gptq(rows, scales, np.eye(20), 127), nearest(rows, scales, 127))


def test_rows_with_inputs_of_their_own_are_solved_alike() -> None:
    rows = RNG.normal(size=(6, 9))
    scales = np.abs(rows).max(axis=1) / 7
    covariance = np.stack([correlated(9, seed=i) for i in range(6)])
    found = gptq_single(rows, scales, covariance, 7)
    for i in range(6):
        assert np.array_equal(found[i], gptq(rows[i : i + 1], scales[i : i + 1], covariance[i], 7)[0])


def test_scales_clip_an_outlier_only_where_that_helps() -> None:
    rows = np.array([[1.3, *[0.9, -0.9, 0.0] * 10], [1.0, *[1.0, -1.0, 0.0] * 10]])
    scales = np.abs(rows).max(axis=1) / 1
    quiet = np.diag([1e-6] + [1.0] * 30)  # the outlier's input hardly moves
    chosen = best_scales(rows, scales, quiet, 1)
    assert np.isclose(chosen[0], 0.7 * 1.3)
    assert np.isclose(chosen[1], 1.0)


def test_targets_move_against_the_drift() -> None:
    """Inputs that arrive halved are answered with weights that are up to twice as large."""
    covariance = correlated(8)[None]
    rows = RNG.normal(size=(3, 8))
    moved = moved_targets(rows, Moments(covariance, covariance.copy(), 400))  # float input = 2 x the quantized one
    gain = np.sum((moved - rows) * rows) / np.sum(rows**2)
    assert 0.2 < gain < 1.0
    still = moved_targets(rows, Moments(covariance, np.zeros_like(covariance), 400))
    assert np.allclose(still, rows)


def both(scheme: Scheme, seed: int) -> tuple[float, float]:
    """SQNR of the outputs in dB with rounding to nearest and corrected biases, and with second-order rounding."""
    workshop = make_workshop(residual_graph(seed), X, 48)
    graph, batches = workshop.original, workshop.batches
    plain, solved = (to_qdq(graph, workshop.ranges, scheme, frozenset()) for _ in range(2))
    correct_biases(plain, float_means(graph, batches, 1), batches, 1)
    done = round_layers(graph, solved, batches, scheme.weight_limit, 1, workshop.spans, drift=True)
    assert done.plain == ()
    assert done.layers == 6
    fresh = images(64, seed=77)
    wanted = run(graph.to_bytes(), fresh)
    return sqnr_db(wanted, run(plain.to_bytes(), fresh)), sqnr_db(wanted, run(solved.to_bytes(), fresh))


def test_narrow_weights_gain_on_inputs_never_seen() -> None:
    scheme = Scheme("narrow", (), "uint8", 4, "for the test")
    gains = [after - before for before, after in (both(scheme, seed) for seed in range(4))]
    assert np.mean(gains) > 2
    assert min(gains) > 0


@needs_exact_products
def test_eight_bits_lose_nothing() -> None:
    gains = [after - before for before, after in (both(scheme_named("u8s8"), seed) for seed in range(3))]
    assert np.mean(gains) > 0


def test_biases_keep_the_accumulators_scale_and_float_layers_are_left_alone() -> None:
    workshop = make_workshop(residual_graph(), X)
    quantized = to_qdq(workshop.original, workshop.ranges, scheme_named("u8s8"), frozenset({"n_stem"}))
    before = quantized.weights["stem_w"].copy()
    round_layers(workshop.original, quantized, workshop.batches, 127, 1, workshop.spans, drift=True)
    assert np.array_equal(quantized.weights["stem_w"], before)
    assert "n_stem/weight/integers" not in quantized.weights
    for name in ("n_depthwise", "n_expand", "n_logits"):
        node = next(node for node in quantized.nodes if node.name == name)
        input_scale = quantized.weights[quantized.producers[node.input[0]].input[1]]
        expected = quantized.weights[f"{name}/weight/scale"].astype(np.float64) * float(input_scale)
        assert np.allclose(quantized.weights[f"{name}/bias/scale"], expected, rtol=1e-6)


def test_weights_turned_against_the_inputs_would_be_seen() -> None:
    """The saboteur: moments whose channels are in the wrong order make worse rounding."""
    rows = RNG.normal(size=(20, 16))
    covariance = correlated(16)
    scales = np.abs(rows).max(axis=1) / 7
    right = Moments(covariance[None], np.zeros((1, 16, 16)), 400)
    wrong = Moments(covariance[None, ::-1, ::-1], np.zeros((1, 16, 16)), 400)
    good, good_scales = solve.solve(rows, scales, right, 7)
    bad, bad_scales = solve.solve(rows, scales, wrong, 7)
    plain = noise(rows, nearest(rows, scales, 7), scales, covariance)
    assert noise(rows, good, good_scales, covariance) < 0.8 * plain
    assert noise(rows, bad, bad_scales, covariance) > 1.2 * noise(rows, good, good_scales, covariance)


def test_a_layer_that_cannot_be_sampled_is_named() -> None:
    net = Net()
    names = [net.constant("w", RNG.normal(size=(3, 4)).astype(np.float32)), net.constant("b", np.zeros(4, np.float32))]
    net.node("Flatten", ["image"], "flat")
    net.node("Transpose", ["flat"], "turned", perm=[1, 0])
    net.node("Gemm", ["turned", *names], "logits", transA=1)
    graph = Graph(net.model([8, 3, 1, 1], [8, 4]))
    x = RNG.normal(size=(8, 3, 1, 1)).astype(np.float32)
    workshop = make_workshop(graph, x, 8)
    quantized = to_qdq(graph, workshop.ranges, scheme_named("u8s8"), frozenset())
    assert round_layers(graph, quantized, workshop.batches, 127, 1, workshop.spans, drift=True).plain == ("n_logits",)


def test_following_the_drift_is_decided_on_examples_set_aside() -> None:
    """A yes must hold on inputs never seen; one batch leaves none to judge with."""
    scheme = Scheme("narrow", (), "uint8", 4, "for the test")
    fresh, said = images(64, seed=78), []
    for seed in range(3):
        workshop = make_workshop(residual_graph(seed), X, 48)
        graph, batches = workshop.original, workshop.batches
        wanted = run(graph.to_bytes(), fresh)
        found = {}
        for drift in (False, True):
            tried = to_qdq(graph, workshop.ranges, scheme, frozenset())
            round_layers(graph, tried, batches, scheme.weight_limit, 1, workshop.spans, drift=drift)
            found[drift] = mean_kl(wanted, run(tried.to_bytes(), fresh))
        said.append(follow_drift(graph, workshop.ranges, scheme, batches, 1))
        assert not said[-1] or found[True] < found[False]
        assert follow_drift(graph, workshop.ranges, scheme, batches[:1], 1) is False
    assert any(said)
