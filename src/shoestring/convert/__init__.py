"""Our quantized ONNX graph in the formats of other runtimes, with the same scales: one quantization, many runtimes."""
