import json

import numpy as np
import pytest

from shoestring.base.errors import EngineError
from shoestring.runtimes.null import DTYPES, NullRuntime


def model(**more) -> bytes:
    one = {"name": "x", "dtype": "float32", "shape": [None, 2]}
    return json.dumps({"inputs": [one], "outputs": [{**one, "name": "y"}], **more}).encode()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_can_be_answered(dtype):
    spec = {"name": "v", "dtype": dtype, "shape": [3, 5]}
    with NullRuntime().load(json.dumps({"inputs": [], "outputs": [spec]}).encode(), 1) as session:
        answer = session.run({})["v"]
    assert (answer.dtype, answer.shape) == (np.dtype(dtype), (3, 5))
    assert len(np.unique(answer)) > 1


def test_the_answers_are_the_same_on_every_machine():
    with NullRuntime().load(model(), 1) as session:
        answer = session.run({"x": np.zeros((1, 2), np.float32)})["y"]
    np.testing.assert_array_equal(np.round(answer * 255), [[139, 51]])


def test_it_fails_when_its_model_says_so():
    with NullRuntime().load(model(fail_after=2), 1) as session:
        for _ in range(2):
            session.run({"x": np.zeros((1, 2), np.float32)})
        with pytest.raises(EngineError, match="fails after 2 runs"):
            session.run({"x": np.zeros((1, 2), np.float32)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[]", "Expected `object`"),
        (b'{"inputs": [], "outputs": [], "spare": 1}', "unknown key 'spare'"),
        (b'{"inputs": [], "outputs": [{"name": "y", "dtype": "object", "shape": []}]}', "unknown dtype 'object'"),
        (b'{"inputs": [], "outputs": [], "busy_us": "long"}', "busy_us"),
    ],
)
def test_what_is_no_null_model_is_refused(text, words):
    with pytest.raises(EngineError) as caught:
        NullRuntime().load(text, 1)
    assert words in caught.value.message
