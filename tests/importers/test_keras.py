"""Keras and TensorFlow files are refused with the command that makes ONNX of them; the proof runs that very command."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shoestring.base.errors import ModelError
from shoestring.importers import import_model
from shoestring.importers.keras import KERAS_COMMAND
from shoestring.runtimes import registry

BUILD = """
import keras, numpy, sys
from keras import layers
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((32, 32, 3)), layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization(),
    layers.ReLU(6.0), layers.DepthwiseConv2D(3, strides=2, padding="same"), layers.Conv2D(16, 1, activation="swish"),
    layers.MaxPooling2D(), layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(5, activation="softmax"),
])
x = numpy.random.default_rng(0).random((3, 32, 32, 3), dtype=numpy.float32)
numpy.savez("known.npz", x=x, y=model.predict(x, verbose=0))
model.save(sys.argv[1])
"""


def test_a_keras_archive_is_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "x")
    with pytest.raises(ModelError, match="is a Keras model") as told:
        import_model(path, tmp_path / "out.onnx")
    assert KERAS_COMMAND.format(source=path) in str(told.value.hint)


def test_hdf5_and_saved_models_are_refused_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ModelError, match="HDF5 file") as told:
        import_model(tmp_path / "net.h5", tmp_path / "out.onnx")
    assert "format='onnx'" in str(told.value.hint)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="a SavedModel of TensorFlow") as told:
        import_model(tmp_path / "saved", tmp_path / "out.onnx")
    assert f"--saved-model {tmp_path / 'saved'}" in str(told.value.hint)


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_the_command_gives_a_model_with_the_same_answers(tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed: pip install keras")
    env = {**os.environ, "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "torch"), "OMP_NUM_THREADS": "1"}
    run = {"cwd": tmp_path, "env": env, "check": True, "capture_output": True}
    subprocess.run([sys.executable, "-c", BUILD, name], **run)  # type: ignore[call-overload]
    with pytest.raises(ModelError) as told:
        import_model(tmp_path / name, tmp_path / "out.onnx")
    shown = str(told.value.hint).split(": ", 1)[1].rsplit(" (", 1)[0].replace("model.h5", "net.h5")
    words = shlex.split(shown)
    assert words[:2] == ["python", "-c"]
    subprocess.run([sys.executable, *words[1:]], **run)  # type: ignore[call-overload]
    model = import_model(tmp_path / "model.onnx", tmp_path / "out.onnx")
    known = np.load(tmp_path / "known.npz")
    with registry.get("onnxruntime").load(model.path, 1) as session:
        found = session.run({model.inputs[0].name: known["x"]})[model.outputs[0].name]
    np.testing.assert_allclose(found, known["y"], rtol=1e-4, atol=1e-6)
    assert np.ptp(known["y"], axis=0).max() > 1e-4  # the answers depend on the image
