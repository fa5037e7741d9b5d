"""The main job for models that write: GGUF and texts in, a proven ladder out."""
