"""Students: smaller networks with the original's interface, trained from its answers. Needs the extra `train`."""
