import numpy as np
import pytest

from shoestring.base.errors import EngineError
from shoestring.costmodel.feeds import check_answers, random_feeds
from shoestring.domain.model import TensorSpec
from shoestring.runtimes.checks import check_feeds

DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "uint64", "bool")
INPUTS = tuple(TensorSpec(dtype, dtype, (None, 50, 4)) for dtype in DTYPES)


def test_feeds_fit_the_inputs_with_free_dimensions_of_one():
    feeds = random_feeds(INPUTS)
    check_feeds(INPUTS, feeds)
    assert all(value.shape == (1, 50, 4) for value in feeds.values())


def test_feeds_are_the_same_for_the_same_seed():
    for name, value in random_feeds(INPUTS, seed=3).items():
        np.testing.assert_array_equal(value, random_feeds(INPUTS, seed=3)[name])
    assert not np.array_equal(random_feeds(INPUTS, 3)["float32"], random_feeds(INPUTS, 4)["float32"])


def test_small_integers_take_their_range_and_wide_ones_stay_valid_as_indices():
    feeds = random_feeds(INPUTS)
    assert feeds["int8"].min() < -50 and feeds["uint8"].max() > 200
    assert set(np.unique(feeds["int64"])) == {0, 1}


def test_nan_is_refused_and_infinity_is_not():
    check_answers({"y": np.asarray([1.0, -np.inf]), "i": np.asarray([1])})
    with pytest.raises(EngineError, match="output 'y' holds NaN in 1 of 2 values"):
        check_answers({"y": np.asarray([1.0, np.nan], np.float16)})
