"""TensorRT needs NVIDIA's chips. What can be held here is what we ask ONNX Runtime for, on a stand-in for its module,
and what we make of its answer. That TensorRT does as it is asked is for the contract suite, on a machine that has it.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shoestring.base.errors import EngineError, UsageError
from shoestring.runtimes import registry, tensorrt
from shoestring.runtimes.onnx_bytes import FLOAT16, OnnxFacts
from shoestring.runtimes.tensorrt import PROVIDER, TensorRtOptions, TensorRtRuntime, check_placement, provider_options


def onnx_bytes(operator: str = "Neg") -> bytes:
    """A graph with one operator and one output, by hand: no package is needed."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    node = field(1, b"x") + field(2, b"y") + field(4, operator.encode())
    return field(7, field(1, node) + field(11, field(1, b"x")) + field(12, field(1, b"y")))


class Engine:
    """A stand-in for the module onnxruntime.

    Args:
        taken: providers that a session says it has.
        parts: where the operators run: (provider, operators).
        error: raised when a session is made.
    """

    __version__ = "1.99"

    def __init__(self, taken=(PROVIDER,), parts=((PROVIDER, ("Neg",)),), error=None) -> None:
        self.made = []
        outer = self

        class Session:
            def __init__(self, data, options, providers, enable_fallback) -> None:
                if error is not None:
                    raise error
                outer.made.append((options.entries, providers, enable_fallback))
                self.fed = []
                self.falls_back = True

            def get_inputs(self):
                return [SimpleNamespace(name="x", type="tensor(float)", shape=["n", 3])]

            def get_outputs(self):
                return [SimpleNamespace(name="y", type="tensor(float)", shape=["n", 3])]

            def get_providers(self):
                return [*taken, "CPUExecutionProvider"]

            def get_provider_graph_assignment_info(self):
                return [
                    SimpleNamespace(
                        ep_name=name, get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=one) for one in kinds]
                    )
                    for name, kinds in parts
                ]

            def disable_fallback(self):
                self.falls_back = False

            def run(self, names, feeds, options):
                assert not self.falls_back
                self.fed.append({name: value.shape for name, value in feeds.items()})
                return [-feeds["x"]]

        self.InferenceSession = Session

    def get_available_providers(self):
        return self.available


class Options:
    def __init__(self) -> None:
        self.entries = {}

    def add_session_config_entry(self, name, value):
        self.entries[name] = value


@pytest.fixture
def engine(monkeypatch):
    """Puts a stand-in where the adapter looks for ONNX Runtime."""

    def install(available=(PROVIDER,), **more) -> Engine:
        made = Engine(**more)
        made.available = available
        made.RunOptions = lambda: SimpleNamespace(log_severity_level=None)
        monkeypatch.setattr(tensorrt, "engine_module", lambda: made)
        monkeypatch.setattr(tensorrt, "session_options", lambda engine, threads: Options())
        monkeypatch.setattr(tensorrt, "engine_errors", lambda: (RuntimeError,))
        monkeypatch.setattr("shoestring.runtimes.ort.engine_errors", lambda: (RuntimeError,))
        monkeypatch.delenv(tensorrt.NO_TF32, raising=False)
        return made

    return install


def test_the_precision_is_that_of_the_artefact_unless_told_otherwise():
    plain, half = OnnxFacts(types={1}, operators={"Conv"}), OnnxFacts(types={1, FLOAT16})
    quantized = OnnxFacts(types={1, 3}, operators={"QuantizeLinear", "Conv"})

    def flags(facts, **more):
        given = provider_options(TensorRtOptions(**more), facts)
        return given["trt_fp16_enable"], given["trt_int8_enable"]

    assert flags(plain) == ("False", "False")
    assert flags(half) == ("True", "False")
    assert flags(quantized) == ("False", "True")
    assert flags(plain, fp16=True) == ("True", "False")
    assert flags(quantized, int8=False) == ("False", "False")


def test_the_workspace_and_the_device_are_passed_on():
    given = provider_options(TensorRtOptions(workspace_bytes=512_000_000, device=1), OnnxFacts())
    assert given["trt_max_workspace_size"] == "512000000" and given["device_id"] == "1"
    with pytest.raises(UsageError, match="workspace of 0 bytes"):
        provider_options(TensorRtOptions(workspace_bytes=0), OnnxFacts())


def test_nothing_is_cached_unless_a_directory_is_chosen(tmp_path):
    given = provider_options(TensorRtOptions(), OnnxFacts())
    assert given["trt_engine_cache_enable"] == given["trt_timing_cache_enable"] == "False"
    assert not any("path" in name for name in given)
    tmp_path.chmod(0o700)
    given = provider_options(TensorRtOptions(cache_dir=tmp_path), OnnxFacts())
    assert given["trt_engine_cache_enable"] == given["trt_timing_cache_enable"] == "True"
    assert given["trt_engine_cache_path"] == given["trt_timing_cache_path"] == str(tmp_path)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_cache_that_others_may_write_to_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(UsageError, match="only this user may write to"):
        provider_options(TensorRtOptions(cache_dir=tmp_path), OnnxFacts())


def test_a_cache_that_is_absent_or_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path, words in ((tmp_path / "absent", "cannot use the cache"), (tmp_path / "file", "no directory")):
        with pytest.raises(UsageError, match=words):
            provider_options(TensorRtOptions(cache_dir=path), OnnxFacts())


def test_what_a_session_is_made_with(engine):
    made = engine()
    with TensorRtRuntime(TensorRtOptions(fp16=True)).load(onnx_bytes(), 1) as session:
        assert session._session.fed == [{"x": (1, 3)}], "the load must build the engine by a first run"
        feeds = {"x": np.ones((2, 3), np.float32)}
        np.testing.assert_array_equal(session.run(feeds)["y"], -feeds["x"])
    ((entries, providers, enable_fallback),) = made.made
    assert [name for name, _ in providers] == [PROVIDER]
    assert providers[0][1]["trt_fp16_enable"] == "True"
    assert enable_fallback == 0
    assert entries == {"session.record_ep_graph_assignment_info": "1"}
    assert os.environ[tensorrt.NO_TF32] == "0"


def test_an_older_onnx_runtime_is_told_not_to_use_the_cpu(engine):
    made = engine()
    del made.InferenceSession.get_provider_graph_assignment_info
    TensorRtRuntime().load(onnx_bytes(), 1)
    assert made.made[0][0] == {"session.disable_cpu_ep_fallback": "1"}


def test_a_session_that_went_to_the_cpu_is_refused(engine):
    engine(taken=())
    with pytest.raises(EngineError, match="would run it on CPUExecutionProvider"):
        TensorRtRuntime().load(onnx_bytes(), 1)


def test_operators_that_went_to_the_cpu_are_named(engine):
    engine(parts=((PROVIDER, ("Conv",)), ("CPUExecutionProvider", ("NonZero", "TopK", "NonZero"))))
    with pytest.raises(EngineError, match="NonZero on CPUExecutionProvider, TopK on CPUExecutionProvider"):
        TensorRtRuntime().load(onnx_bytes(), 1)


def test_a_refusal_of_the_engine_is_one_line(engine, tmp_path):
    engine(error=RuntimeError("TensorRT EP failed to create engine\nfrom network"))
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_bytes())
    with pytest.raises(EngineError, match=r"^TensorRT refuses .*m\.onnx: .*create engine from network$"):
        TensorRtRuntime().load(path, 1)


def test_an_onnx_runtime_without_tensorrt_says_so(engine):
    engine(available=("CPUExecutionProvider",))
    for use in (lambda: TensorRtRuntime().version(), lambda: TensorRtRuntime().load(onnx_bytes(), 1)):
        with pytest.raises(EngineError, match="without TensorRT") as caught:
            use()
        assert "onnxruntime-gpu" in caught.value.hint


def test_the_version_names_both(engine, monkeypatch):
    engine()
    monkeypatch.setattr(tensorrt, "library_version", lambda: "8.2.1")
    assert TensorRtRuntime().version() == "1.99+trt8.2.1"


@pytest.mark.parametrize(
    ("number", "words"), [(8201, "8.2.1"), (8603, "8.6.3"), (100_900, "10.9.0"), (110_203, "11.2.3")]
)
def test_the_librarys_number_is_read(monkeypatch, number, words):
    def load(name):
        if name != "libnvinfer.so.8":
            raise OSError("no such library")
        return SimpleNamespace(getInferLibVersion=lambda: number)

    monkeypatch.setattr(tensorrt.ctypes, "CDLL", load)
    assert tensorrt.library_version() == words


def test_it_is_installed_where_its_provider_is(tmp_path, monkeypatch):
    package = tmp_path / "onnxruntime"
    (package / "capi").mkdir(parents=True)
    monkeypatch.setattr(registry, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(package)]))
    assert "onnxruntime" in registry.installed() and "tensorrt" not in registry.installed()
    (package / "capi" / "libonnxruntime_providers_tensorrt.so").write_bytes(b"")
    assert "tensorrt" in registry.installed()


@pytest.mark.skipif("onnxruntime" not in registry.installed(), reason="the runtime onnxruntime is not installed")
def test_a_real_session_tells_where_its_operators_run():
    """ONNX Runtime itself answers here, on its CPU provider: the look at its answer must see that."""
    import onnxruntime

    if not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
        pytest.skip("this ONNX Runtime does not tell where operators run")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    example = Path(__file__).parents[2] / "examples" / "cifar10_main.onnx"
    session = onnxruntime.InferenceSession(str(example), options, providers=["CPUExecutionProvider"])

    class Pretending:
        """Says that TensorRT is there, and lets ONNX Runtime say the rest."""

        def get_providers(self):
            return [PROVIDER]

        def get_provider_graph_assignment_info(self):
            return session.get_provider_graph_assignment_info()

    with pytest.raises(EngineError, match="Conv on CPUExecutionProvider"):
        check_placement(Pretending(), "m", True)
