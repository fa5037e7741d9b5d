"""A board's physics: where its heat goes, what its fan and its clock do. Formulas alone, no I/O."""
