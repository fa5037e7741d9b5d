"""Publish bundles to many devices, roll them out in waves, and read what the devices report."""
