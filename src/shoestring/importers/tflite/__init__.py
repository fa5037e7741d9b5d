"""TensorFlow Lite files -> ONNX in float, read in quarantine: to run them, and to fit them again."""
