"""Make the 3,000 images in examples/cifar10 from CIFAR-10's test set: 300 of each class, lossless PNG.

    python examples/sample_cifar10.py --cifar ~/.cache/shoestring/cifar10 --out examples/cifar10

With --rest, the other 7,000 are written instead: they test whether the demo's certificate holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PER_CLASS, SEED = 300, 7


def chosen(labels: np.ndarray, rest: bool) -> np.ndarray:
    """Positions in the test set: PER_CLASS of each class by a seeded draw, or all the others."""
    rng = np.random.default_rng(SEED)
    taken = [rng.choice(np.flatnonzero(labels == label), PER_CLASS, replace=False) for label in range(len(CLASSES))]
    picked = np.sort(np.concatenate(taken))
    return np.setdiff1d(np.arange(len(labels)), picked) if rest else picked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, required=True, help="folder with test.npz, see fetch_cifar10.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rest", action="store_true")
    args = parser.parse_args()
    with np.load(args.cifar.expanduser() / "test.npz") as data:
        images, labels = data["images"], data["labels"]
    for name in CLASSES:
        (args.out / name).mkdir(parents=True, exist_ok=True)
    for position in chosen(labels, args.rest):
        path = args.out / CLASSES[labels[position]] / f"test_{position:05d}.png"
        Image.fromarray(images[position]).save(path, optimize=True)
    print(f"{sum(1 for _ in args.out.rglob('*.png'))} images in {args.out}")


if __name__ == "__main__":
    main()
