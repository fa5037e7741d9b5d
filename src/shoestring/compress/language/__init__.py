"""Language models in block types: what each tensor's rounding costs, found by one backward pass, and mixes made of it."""
