"""A bundle that writes text, on the device: its files, its golden set, its answers."""
