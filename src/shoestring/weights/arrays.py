"""The arrays of this room, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Shorts = NDArray[np.int16]
Array = NDArray[Any]
