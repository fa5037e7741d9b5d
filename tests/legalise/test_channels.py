"""Channels of zeros: in number what was asked for, in answers nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriting import graph
from shoestring.base.errors import ModelError, UsageError
from shoestring.compress.graph import Graph
from shoestring.legalise.channels import pad_channels
from shoestring.legalise.same import check_same, random_feeds


def chain(between: str, channels: int, seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(0, 1, (channels, 3, 3, 3)).astype(np.float32),
        "b1": rng.normal(0, 1, channels).astype(np.float32),
        "w2": rng.normal(0, 1, (5, channels, 1, 1)).astype(np.float32),
    }
    middle = (between, ["a"], ["b"], {"kernel_shape": [2, 2]} if "Pool" in between else {})
    return graph(
        [("Conv", ["x", "w1", "b1"], ["a"], {}), middle, ("Conv", ["b", "w2"], ["y"], {})], weights, (1, 3, 7, 7)
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    between=st.sampled_from(["Relu", "Sigmoid", "HardSigmoid", "MaxPool", "AveragePool"]),
    channels=st.integers(1, 9),
    multiple=st.sampled_from([2, 4, 16]),
    seed=st.integers(0, 99),
)
def test_padding_changes_no_answer(between: str, channels: int, multiple: int, seed: int) -> None:
    source = chain(between, channels, seed)
    made = source.copy()
    notes = pad_channels(made, multiple)
    extra = -channels % multiple
    words = (f"{extra} channels of zeros in 1 convolutions, for multiples of {multiple}",) if extra else ()
    assert notes == words
    first = made.weights[made.nodes[0].input[1]]
    assert first.shape[0] % multiple == 0 and source.weights["w1"].shape[0] == channels
    check_same(source, made, random_feeds(source, 2), limit=2e-6)


def test_ones_in_the_place_of_zeros_are_caught() -> None:
    source = chain("Sigmoid", 5)
    made = source.copy()
    pad_channels(made, 4)
    name = made.nodes[2].input[1]
    made.weights[name] = np.where(np.arange(8)[None, :, None, None] >= 5, np.float32(1), made.weights[name])
    with pytest.raises(ModelError, match="differs by"):
        check_same(source, made, random_feeds(source, 2))


@pytest.mark.parametrize("between", ["Softmax", "GlobalAveragePool", "Flatten"])
def test_channels_that_meet_others_stay(between: str) -> None:
    source = chain("Relu", 5)
    source.nodes[1].op_type = between
    assert pad_channels(source, 4) == ()


def test_a_branch_keeps_its_channels() -> None:
    source = chain("Relu", 5)
    source.nodes.insert(2, graph([("Relu", ["x"], ["y"], {})], {}, (1, 3)).nodes[0])
    source.nodes[2].input[0], source.nodes[2].output[0] = "a", "other"
    source.reindex()
    assert pad_channels(source, 4) == ()


def test_a_weight_that_two_share_is_not_changed_for_both() -> None:
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(0, 1, (3, 3, 1, 1)).astype(np.float32)}
    nodes = [("Conv", [name, "w"], [made], {}) for name, made in (("x", "a"), ("a", "b"), ("b", "y"))]
    source = graph(nodes, weights, (1, 3, 5, 5))
    made = source.copy()
    assert pad_channels(made, 4) == ("2 channels of zeros in 2 convolutions, for multiples of 4",)
    check_same(source, made, random_feeds(source, 2), limit=2e-6)


@pytest.mark.parametrize("multiple", [0, 1, 65, -4])
def test_multiples_have_limits(multiple: int) -> None:
    with pytest.raises(UsageError, match="multiples of"):
        pad_channels(chain("Relu", 3), multiple)
