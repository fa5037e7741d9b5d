"""One counted inference of an engine, inside an emulated userland that holds the device install.

python boards_guest.py ENGINE FILE INPUT.npy WARM_UP
"""

import ctypes
import sys
from pathlib import Path

import numpy as np

from shoestring.runtimes import registry

START, STOP = 0x51050001, 0x51050002  # marks of tests/emulation/block_counts.c


def main():
    engine, file, inputs, warm_up = sys.argv[1:]
    image = np.load(inputs)[:1]
    with registry.get(engine).load(Path(file).read_bytes(), 1) as session:
        feeds = {session.inputs[0].name: image}
        mark = ctypes.CDLL(None).getpriority
        for _ in range(int(warm_up)):
            session.run(feeds)
        mark(0, START)
        session.run(feeds)
        mark(0, STOP)


if __name__ == "__main__":
    main()
