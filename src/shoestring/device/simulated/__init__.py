"""A board that is not there: the physics of a chip file under a virtual clock, with faults."""
