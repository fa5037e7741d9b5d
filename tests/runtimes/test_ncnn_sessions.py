"""What the adapter does beside what every runtime promises."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from ncnn_models import changed, tiny, tiny_model
from shoestring.base.errors import EngineError

pytest.importorskip("ncnn", reason="the package ncnn is not installed")
from shoestring.domain.model import TensorSpec
from shoestring.runtimes import ncnn_cpu
from shoestring.runtimes.ncnn_cpu import MOST_EXACT, NcnnRuntime, NcnnVulkanRuntime
from shoestring.runtimes.ncnn_file import Port


def feeds(batch: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {"a": rng.standard_normal((batch, 3)).astype(np.float32), "b": np.array([4, -7])}


def test_examples_of_a_batch_are_run_one_by_one():
    given = feeds()
    with NcnnRuntime().load(tiny_model(), 1) as session:
        answers = session.run(given)
    np.testing.assert_allclose(answers["y"], given["a"] @ np.arange(12).reshape(4, 3).T + 1, rtol=1e-5)
    np.testing.assert_array_equal(answers["z"], [-4, 7])


def test_batches_of_two_lengths_are_refused():
    inputs = (tiny().inputs[0], Port(TensorSpec("b", "float32", (None, 2)), "b"))
    with NcnnRuntime().load(changed(tiny().param, inputs=inputs), 1) as session:
        with pytest.raises(EngineError, match=r"batches of \[2, 3\]"):
            session.run({"a": feeds(3)["a"], "b": np.ones((2, 2), np.float32)})
        assert session.run({"a": feeds(2)["a"], "b": np.ones((2, 2), np.float32)})["y"].shape == (2, 4)


@pytest.mark.parametrize("value", [MOST_EXACT, -MOST_EXACT])
def test_integers_are_kept_to_the_last(value):
    with NcnnRuntime().load(tiny_model(), 1) as session:
        answer = session.run({**feeds(), "b": np.array([value, value - np.sign(value)])})["z"]
    np.testing.assert_array_equal(answer, [-value, np.sign(value) - value])


@pytest.mark.parametrize("value", [MOST_EXACT + 1, np.iinfo(np.int64).min])
def test_integers_that_floats_do_not_tell_apart_are_refused(value):
    with NcnnRuntime().load(tiny_model(), 1) as session, pytest.raises(EngineError, match="beyond 16777216"):
        session.run({**feeds(), "b": np.array([value, 0])})


@pytest.mark.parametrize(("precision", "half", "integer"), [("fp32", 0, 0), ("fp16", 1, 0), ("int8", 0, 1)])
def test_a_file_runs_in_the_precision_it_names_and_no_other(precision, half, integer):
    with NcnnRuntime().load(changed(tiny().param, precision=precision), 2) as session:
        option = session._net.opt
        assert [option.use_fp16_packed, option.use_fp16_storage, option.use_fp16_arithmetic] == [half] * 3
        assert [option.use_bf16_packed, option.use_bf16_storage] == [0, 0]
        assert option.use_int8_inference == integer
        assert option.num_threads == 2


def test_without_a_vulkan_loader_the_gpu_is_refused_in_words(monkeypatch, capfd):
    def absent(_: str) -> None:
        raise OSError("libvulkan.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(EngineError, match="Vulkan loader cannot be loaded"):
        NcnnVulkanRuntime().load(tiny_model(), 1)
    assert capfd.readouterr() == ("", "")


def test_without_a_device_the_gpu_is_refused_in_words(monkeypatch):
    class NoDevice:
        @staticmethod
        def get_gpu_count() -> int:
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda _: None)
    monkeypatch.setattr(ncnn_cpu, "engine_module", lambda: NoDevice)
    with pytest.raises(EngineError, match="no driver or no device"):
        NcnnVulkanRuntime().load(tiny_model(), 1)


def test_int8_on_the_gpu_is_refused_since_it_would_run_on_the_cpu():
    with pytest.raises(EngineError, match="8-bit layers run on the CPU"):
        NcnnVulkanRuntime().load(changed(tiny().param, precision="int8"), 1)


def test_an_engine_that_reports_a_code_is_an_error(monkeypatch):
    with NcnnRuntime().load(tiny_model(), 1) as session:
        monkeypatch.setattr(session, "_net", Failing())
        with pytest.raises(EngineError, match="could not compute the output 'y': code -100"):
            session.run(feeds())


class Failing:
    """A net whose extractor never finds anything."""

    def create_extractor(self) -> Failing:
        return self

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None: ...

    def input(self, *_: object) -> int:
        return 0

    def extract(self, _: str) -> tuple[int, None]:
        return -100, None

    def clear(self) -> None: ...
