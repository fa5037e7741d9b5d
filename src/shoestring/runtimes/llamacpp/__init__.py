"""llama.cpp, as the package xllamacpp brings it: models that score text and write it, each in a process of its own."""
