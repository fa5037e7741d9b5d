"""What every runtime promises, checked on each that is installed here."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import handmade
import litert_models
from shoestring.base.errors import EngineError, MissingExtraError, UsageError
from shoestring.domain.model import TensorSpec
from shoestring.runtimes import registry

INPUTS = (TensorSpec("a", "float32", (None, 3)), TensorSpec("b", "int64", (2,)))
OUTPUTS = (TensorSpec("y", "float32", (None, 4)), TensorSpec("z", "int64", (2,)))


def null_model() -> bytes:
    def plain(specs):
        return [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in specs]

    return json.dumps({"inputs": plain(INPUTS), "outputs": plain(OUTPUTS)}).encode()


def onnx_model() -> bytes:
    pytest.importorskip("onnx", reason="making an ONNX model needs the package onnx")
    from onnx import helper, numpy_helper
    from onnx.helper import np_dtype_to_tensor_dtype

    def value(spec):
        shape = ["batch" if length is None else length for length in spec.shape]
        return helper.make_tensor_value_info(spec.name, np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), shape)

    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "w")
    nodes = [helper.make_node("MatMul", ["a", "w"], ["y"]), helper.make_node("Neg", ["b"], ["z"])]
    graph = helper.make_graph(nodes, "tiny", [value(s) for s in INPUTS], [value(s) for s in OUTPUTS], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def native_model() -> bytes:
    return handmade.build()


MODELS = {
    "litert": litert_models.tiny_model,
    "edgetpu": litert_models.tiny_model,
    "null": null_model,
    "onnxruntime": onnx_model,
    "native": native_model,
}
"""For each runtime the maker of its form of the tiny model: y = f(a) over a free batch, z = g(b)."""


PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert", "edgetpu": "ai_edge_litert"}
"""For each runtime that needs one, the package its engine comes in."""


@dataclass(frozen=True)
class Case:
    """A runtime with its form of the tiny model."""

    name: str
    runtime: object = field(repr=False)
    model: bytes = field(repr=False)

    def load(self, threads: int = 1):
        return self.runtime.load(self.model, threads)


@pytest.fixture(params=registry.names())
def case(request) -> Case:
    name = request.param
    if name not in registry.installed():
        pytest.skip(f"the runtime {name} is not installed")
    return Case(name, registry.get(name), MODELS[name]())


def feeds(batch: int = 2) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(7)
    return {
        "a": generator.standard_normal((batch, 3)).astype(np.float32),
        "b": generator.integers(-5, 5, 2),
    }


def refusal(session, given) -> EngineError:
    with pytest.raises(EngineError) as caught:
        session.run(given)
    assert "\n" not in caught.value.message
    return caught.value


def test_every_runtime_has_a_form_of_the_tiny_model():
    assert set(MODELS) == set(registry.names())


def test_it_names_itself_and_its_version(case):
    assert case.runtime.name == case.name
    assert case.runtime.version().strip()
    assert case.runtime.version() == case.runtime.version()


def test_inputs_and_outputs_are_told(case):
    with case.load() as session:
        assert session.inputs == INPUTS
        assert session.outputs == OUTPUTS


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_answers_have_the_promised_names_types_and_shapes(case, batch):
    with case.load() as session:
        answers = session.run(feeds(batch))
    assert list(answers) == ["y", "z"]
    assert (answers["y"].dtype, answers["y"].shape) == (np.float32, (batch, 4))
    assert (answers["z"].dtype, answers["z"].shape) == (np.int64, (2,))


@pytest.mark.parametrize("threads", [1, 2])
def test_same_inputs_same_answers_over_runs_and_loads(case, threads):
    with case.load(threads) as session:
        first, second = session.run(feeds()), session.run(feeds())
    with case.load(threads) as session:
        third = session.run(feeds())
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_array_equal(first[name], third[name])


def test_other_inputs_other_answers(case):
    with case.load() as session:
        one = session.run(feeds())
        two = session.run({"a": feeds()["a"] + 1, "b": feeds()["b"] + 1})
    assert not np.array_equal(one["y"], two["y"])
    assert not np.array_equal(one["z"], two["z"])


def test_arrays_that_are_not_contiguous_mean_the_same(case):
    given = feeds()
    with case.load() as session:
        expected = session.run(given)
        turned = session.run({**given, "a": np.asfortranarray(given["a"])})
    np.testing.assert_array_equal(expected["y"], turned["y"])


def test_feeds_are_left_as_they_were(case):
    given = feeds()
    with case.load() as session:
        session.run(given)
    for name, value in feeds().items():
        np.testing.assert_array_equal(given[name], value)


def test_a_file_and_its_bytes_are_the_same_model(case, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(case.model)
    with case.load() as one, case.runtime.load(path, 1) as two:
        np.testing.assert_array_equal(one.run(feeds())["y"], two.run(feeds())["y"])


WRONG = {
    "missing input": (lambda f: {"a": f["a"]}, "no array was given for input 'b'"),
    "unknown input": (lambda f: {**f, "c": f["a"]}, "no input 'c'"),
    "wrong dtype": (lambda f: {**f, "a": f["a"].astype(np.float64)}, "takes float32, got float64"),
    "other byte order": (lambda f: {**f, "a": f["a"].astype(">f4")}, "takes float32, got >f4"),
    "wrong length": (lambda f: {**f, "a": f["a"][:, :2]}, "takes shape (?, 3), got (2, 2)"),
    "wrong rank": (lambda f: {**f, "a": f["a"][0]}, "takes shape (?, 3), got (3)"),
    "empty batch": (lambda f: {**f, "a": f["a"][:0]}, "takes shape (?, 3), got (0, 3)"),
    "no array": (lambda f: {**f, "b": [1, 2]}, "was given a list"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_feeds_that_do_not_fit_are_refused_in_the_same_words(case, wrong):
    spoil, words = WRONG[wrong]
    with case.load() as session:
        error = refusal(session, spoil(feeds()))
        assert words in error.message
        assert error.hint
        session.run(feeds())  # a refusal does not break the session


BAD = {
    "a text": lambda model: b"certainly not a model\nat all\n",
    "empty": lambda model: b"",
    "truncated": lambda model: model[: len(model) // 2],
    "zeros": lambda model: bytes(100),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_model_is_one_line_that_names_it(case, bad, tmp_path, capfd):
    path = tmp_path / "broken.model"
    path.write_bytes(BAD[bad](case.model))
    with pytest.raises(EngineError) as caught:
        case.runtime.load(path, 1)
    assert "broken.model" in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises(EngineError):
        case.runtime.load(path.read_bytes(), 1)
    assert capfd.readouterr() == ("", ""), "an engine must not write to our streams"


def test_a_file_that_is_not_there_and_a_directory(case, tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(EngineError, match="cannot read"):
            case.runtime.load(path, 1)


def test_close_twice_and_run_after_close(case):
    session = case.load()
    session.close()
    session.close()
    assert "closed" in refusal(session, feeds()).message
    with case.load() as inside:
        pass
    assert "closed" in refusal(inside, feeds()).message


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one_are_refused(case, threads):
    with pytest.raises(UsageError, match=f"thread count {threads}"):
        case.load(threads)


@pytest.mark.parametrize("name", registry.names())
def test_an_engine_that_is_not_installed_says_how_to_get_it(name, monkeypatch):
    if name not in PACKAGES:
        pytest.skip(f"the runtime {name} needs no package")
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    for use in (lambda: registry.get(name).version(), lambda: registry.get(name).load(Path("x"), 1)):
        with pytest.raises(MissingExtraError) as caught:
            use()
        assert "pip install 'shoestring[" in caught.value.hint
