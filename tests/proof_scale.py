"""How much longer than usual the repeated tests run: 1 in `make test`, more in `make proof`."""

import os

SCALE = int(os.environ.get("SHOESTRING_PROOF", "1"))
