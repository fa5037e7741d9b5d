"""The ground floor: errors, units, limits, disk, child processes. Knows nothing of models."""
