"""The search picks shapes under the target; blocks and images are cut as said. None of it needs torch."""

from __future__ import annotations

import numpy as np
import pytest

import nets
from shoestring.base.errors import BudgetError
from shoestring.training import blocks
from shoestring.training.search import Found, Shape, families, pick, search, widest
from training import students


def fake_latency(shape: Shape) -> float:
    """4 ms for the original, less for every cut, with a floor that width cannot pass."""
    return (0.2 + 3.8 * (1 - shape.ratio) ** 2 * (1 - 0.1 * len(shape.dropped))) / shape.image**2


@pytest.mark.parametrize("target", [0.3, 1.0, 2.0, 3.99, 5.0])
def test_the_widest_shape_under_the_target_is_found(target: float) -> None:
    asked: list[Shape] = []

    def latency(shape: Shape) -> float:
        asked.append(shape)
        return fake_latency(shape)

    found, _ = widest(Shape(1, (), 0.0), latency, target)
    assert found is not None
    assert found.latency_ms <= target
    assert found.latency_ms == fake_latency(found.shape)
    if found.shape.ratio:
        wider = Shape(1, (), found.shape.ratio - 1 / 16)
        assert fake_latency(wider) > target
    assert len(asked) <= 6


def test_families_that_miss_the_target_are_left_out_and_said() -> None:
    said: list[str] = []
    found = search(families((1, 2), ("a", "b", "c")), fake_latency, 0.1, said.append)
    assert {one.shape.image for one in found} == {2}
    assert len([line for line in said if "not below" in line]) == 2


def test_no_student_is_a_budget_error_that_names_the_fastest() -> None:
    with pytest.raises(BudgetError, match=r"reaches 0.01 ms.*fastest takes 0\.0\d+ ms"):
        search(families((1, 2), ()), fake_latency, 0.01, lambda _: None)


def test_depth_is_tried_only_where_there_are_blocks_to_spare() -> None:
    assert families((1,), ("a", "b")) == (Shape(1, (), 0.0),)
    assert families((1,), tuple("abcdef"))[1].dropped == ("a", "b")


def test_the_race_goes_to_the_smallest_divergence_and_one_alone_runs_none() -> None:
    found = [Found(Shape(1, (), 0.5), 1.0), Found(Shape(2, (), 0.0), 0.9)]
    assert pick(found, lambda one: float(one.shape.image == 1), lambda _: None) == found[1]
    assert pick(found[:1], lambda _: pytest.fail("raced"), lambda _: None) == found[0]


def test_residual_blocks_are_found_with_their_sources() -> None:
    graph = students.wide_net()
    found = blocks.residual_blocks(graph)
    assert [(one.source, one.output) for one in found] == [
        ("stem_act", "block0_sum"),
        ("block0_sum", "block1_sum"),
        ("block1_sum", "block2_sum"),
    ]


def test_a_net_without_a_block_is_the_net_in_which_its_branch_is_zero() -> None:
    graph, x = students.wide_net(), nets.images(4)
    name = blocks.residual_blocks(graph)[1].name
    silent = graph.copy()
    for key in ("block1_project_w", "block1_project_b"):
        silent.weights[key] = np.zeros_like(silent.weights[key])
    cut = blocks.without_blocks(graph, [name])
    np.testing.assert_allclose(students.answers(cut, x), students.answers(silent, x), rtol=1e-5, atol=1e-5)
    assert len(cut.nodes) == len(graph.nodes) - 6


def test_all_blocks_can_go() -> None:
    graph = students.wide_net()
    cut = blocks.without_blocks(graph, [one.name for one in blocks.residual_blocks(graph)])
    assert [node.op_type for node in cut.nodes] == ["Conv", "Clip", "GlobalAveragePool", "Flatten", "Gemm"]


def test_a_smaller_image_is_the_average_of_squares_behind_the_same_input() -> None:
    graph, x = students.wide_net(), nets.images(2)
    small = blocks.with_smaller_image(graph, 2)
    averaged = x.reshape(2, 3, 8, 2, 8, 2).mean((3, 5))
    free = graph.copy()
    for axis in (2, 3):
        free.proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 8
    np.testing.assert_allclose(students.answers(small, x), students.answers(free, averaged), rtol=1e-5, atol=1e-5)
    assert blocks.has_global_pool(graph)


def test_the_layer_that_makes_the_output_is_named() -> None:
    assert blocks.output_layers(students.wide_net()) == ("n_logits",)
