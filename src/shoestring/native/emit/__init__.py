"""The back: a planned program becomes C text and a blob of weights."""
