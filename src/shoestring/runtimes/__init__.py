"""Inference engines behind one protocol, one adapter a file; each imports its engine on use only."""
