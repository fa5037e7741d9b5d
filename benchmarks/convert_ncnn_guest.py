"""ncnn files run inside an emulated userland: convert_ncnn_guest.py FOLDER SOURCES NAME

Runs every *.ncnn of FOLDER on the inputs in *.npz of the same stem; writes the answers to STEM.NAME.npz. SOURCES is the
project's src: the adapter is the one that devices use.
"""

import sys
from pathlib import Path

import numpy as np

folder, sources, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.path.insert(0, sources)

from shoestring.runtimes import registry  # noqa: E402

for path in sorted(folder.glob("*.ncnn")):
    with registry.get("ncnn").load(path, 1) as session:
        np.savez(folder / f"{path.stem}.{name}.npz", **session.run(dict(np.load(path.with_suffix(".npz")))))
