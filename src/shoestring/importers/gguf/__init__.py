"""GGUF, the files of llama.cpp: their headers, read in quarantine."""
