"""The weights of language models as they are stored: block types, read and written, and files of them."""
