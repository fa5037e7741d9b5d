"""The pure policy that picks the rung from heat, power, load and deadlines."""
