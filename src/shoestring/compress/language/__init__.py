"""Language models in block types: what each tensor's rounding costs, and mixes made by it."""
