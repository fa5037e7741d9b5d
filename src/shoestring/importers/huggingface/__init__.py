"""Folders of Hugging Face: decoders become GGUF files, encoders ONNX graphs. Read in quarantine."""
