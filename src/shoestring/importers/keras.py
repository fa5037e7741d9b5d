"""Keras and TensorFlow files are not read: Keras exports ONNX itself, and knows its own layers best."""

from __future__ import annotations

KERAS_HINT = (
    "export it with Keras 3.8 or later: python -c \"import keras; keras.models.load_model('model.keras', "
    "compile=False).export('model.onnx', format='onnx')\" (backend tensorflow needs tf2onnx, torch onnxscript)"
)
SAVED_MODEL_HINT = (
    "convert it where TensorFlow is: python -m tf2onnx.convert --saved-model DIR --opset 17 --output model.onnx; "
    "a model that Keras can load is better exported by keras.Model.export('model.onnx', format='onnx')"
)
