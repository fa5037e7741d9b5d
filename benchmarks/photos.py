"""Unlabelled photographs for the benchmarks: crops of the photos inside three pinned packages.

    python benchmarks/photos.py --out ~/.cache/shoestring/photos

Eight seeded crops of every photo, from half to all of its shorter side, stored as PNG at 256 pixels: about 500 images.
Sources: foolbox (20 ImageNet images, PyPI), scikit-image (PyPI), opencv-doc (Debian). Nothing of them is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

# fmt: off
WHEELS = {
    "foolbox==3.3.4": ("foolbox/data/imagenet_", None),
    "scikit-image==0.26.0": (
        "skimage/data/",
        [
            "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "color", "grass", "gravel",
            "motorcycle_left", "rocket",
        ],
    ),
}
OPENCV_DOC = [
    "aero1", "aero3", "aloeL", "apple", "baboon", "basketball1", "board", "box", "building", "butterfly",
    "cards", "chicky_512", "ela_original", "fruits", "graf1", "home", "left", "leuvenA",
    "licenseplate_motion", "messi5", "orange", "rubberwhale1", "smarties", "squirrel_cls", "starry_night",
    "stuff", "sudoku", "tmpl", "gradient", "lena", "HappyFish", "Blender_Suzanne1",
]
# fmt: on
CROPS, SIDE, SEED = 8, 256, 7


def from_wheels(scratch: Path) -> Iterator[tuple[str, Image.Image]]:
    for requirement, (prefix, stems) in WHEELS.items():
        folder = scratch / requirement
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), requirement]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            for name in sorted(archive.namelist()):
                path = Path(name)
                wanted = name.startswith(prefix) and path.suffix in {".jpg", ".png"}
                if wanted and (stems is None or path.stem in stems):
                    yield path.stem, Image.open(io.BytesIO(archive.read(name))).convert("RGB")


def from_debian(scratch: Path) -> Iterator[tuple[str, Image.Image]]:
    subprocess.run(["apt-get", "download", "-qq", "opencv-doc"], cwd=scratch, check=True)
    subprocess.run(["dpkg", "-x", str(next(scratch.glob("opencv-doc*.deb"))), str(scratch / "doc")], check=True)
    for path in sorted((scratch / "doc/usr/share/doc/opencv-doc/examples/data").iterdir()):
        if path.stem in OPENCV_DOC and path.suffix in {".jpg", ".png"}:
            yield path.stem, Image.open(path).convert("RGB")


def crops(stem: str, photo: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    rng = random.Random(f"{SEED} {stem}")
    shorter = min(photo.size)
    for i in range(CROPS):
        side = round(shorter * rng.uniform(0.5, 1.0))
        left, top = rng.randint(0, photo.width - side), rng.randint(0, photo.height - side)
        crop = photo.crop((left, top, left + side, top + side))
        yield f"{stem}_{i}", crop.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    count = 0
    with tempfile.TemporaryDirectory() as name:
        for source in (from_wheels, from_debian):
            for stem, photo in source(Path(name)):
                for crop_name, crop in crops(stem, photo):
                    crop.save(out / f"{crop_name}.png")
                    digest.update(crop.tobytes())
                    count += 1
    print(f"{count} crops, SHA-256 of all pixels in order {digest.hexdigest()}")


if __name__ == "__main__":
    main()
