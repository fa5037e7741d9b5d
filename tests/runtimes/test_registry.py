import subprocess
import sys

import pytest

from shoestring.base.errors import UsageError
from shoestring.runtimes import registry


def test_known_names_give_runtimes_of_that_name():
    assert set(registry.installed()) <= set(registry.names())
    for name in registry.names():
        assert registry.get(name).name == name


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no runtime 'ort2'") as caught:
        registry.get("ort2")
    for name in registry.names():
        assert name in caught.value.hint


def test_installed_leaves_out_what_cannot_be_found(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda package: None)
    assert registry.installed() == ("native", "null")


def test_naming_a_runtime_imports_no_engine():
    words = (
        "import sys; sys.path[:] = {path!r}; from shoestring.runtimes import registry; registry.installed(); "
        "[registry.get(name) for name in registry.names()]; "
        "print([name for name in ('onnxruntime', 'openvino', 'onnx', 'scipy', 'torch') if name in sys.modules])"
    )
    code = words.format(path=sys.path)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
