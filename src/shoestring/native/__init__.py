"""The compiler: a quantized or float ONNX graph becomes one small C program for one instruction set."""
