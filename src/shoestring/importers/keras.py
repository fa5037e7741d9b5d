"""Keras and TensorFlow files are not read: Keras exports ONNX itself, and knows its own layers best."""

from __future__ import annotations

# Keras asks that a loaded model is called before it is exported.
KERAS_COMMAND = (
    "python -c \"import keras; m = keras.models.load_model('{source}', compile=False); "
    "m(keras.ops.zeros((1, *m.input_shape[1:]))); m.export('model.onnx', format='onnx')\""
)
SAVED_MODEL_COMMAND = "python -m tf2onnx.convert --saved-model {source} --opset 17 --output model.onnx"


def keras_hint(source: object) -> str:
    """How to make ONNX of a .keras or .h5 file."""
    return (
        f"export it with Keras 3.8 or later: {KERAS_COMMAND.format(source=source)} "
        "(KERAS_BACKEND=torch needs onnxscript, tensorflow needs tf2onnx, jax needs jax2onnx)"
    )


def saved_model_hint(source: object) -> str:
    """How to make ONNX of a SavedModel."""
    return f"convert it where TensorFlow is: {SAVED_MODEL_COMMAND.format(source=source)}"
