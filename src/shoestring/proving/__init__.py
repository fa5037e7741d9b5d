"""Proof on another instruction set: a rung answers there, emulated or on the board, and is compared image by image."""
