"""safetensors, the files of weights of Hugging Face: their headers, read in quarantine."""
