"""Train the demo's two CIFAR-10 models on a CPU and store them as ONNX.

    python examples/fetch_cifar10.py --out ~/.cache/shoestring/cifar10
    python examples/train_cifar.py main  --cifar ~/.cache/shoestring/cifar10 --imagenet mobilenet_v2-b0353104.pth
    python examples/train_cifar.py small --cifar ~/.cache/shoestring/cifar10

`main` is MobileNetV2 at 112 pixels from ImageNet weights; `small` is its first four stages at 64 pixels, started from
the trained `main`. SGD in one or more cycles (Smith & Topin, arXiv:1708.07120), the first epochs at fewer pixels,
random crop, flip and cutout (DeVries & Taylor, arXiv:1708.04552), label smoothing, averaged weights. A stopped run
goes on where its last epoch ended. Needs torch, onnx and onnxscript.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from export_onnx import export
from mobilenet_v2 import MobileNetV2, average

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@dataclass(frozen=True)
class Cycle:
    """One rise and fall of the learning rate: its peak, and the image size of each epoch."""

    epoch_pixels: tuple[int, ...]
    peak_rate: float


@dataclass(frozen=True)
class Plan:
    """How one model is made: depth, and its cycles; each starts from the averaged weights of the one before."""

    stages: int
    head: int
    cycles: tuple[Cycle, ...]

    @property
    def pixels(self) -> int:
        """The image size the model is used at."""
        return self.cycles[-1].epoch_pixels[-1]


PLANS = {
    "main": Plan(7, 1280, (Cycle((64,) * 4 + (96,) * 5, 0.06), Cycle((112,) * 4, 0.03))),
    "small": Plan(4, 256, (Cycle((64,) * 8, 0.08),)),
}


def load_split(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    with np.load(folder / f"{split}.npz") as data:
        return torch.from_numpy(data["images"]).permute(0, 3, 1, 2), torch.from_numpy(data["labels"]).long()


def prepare(images: Tensor, pixels: int) -> Tensor:
    """(N, 3, 32, 32) uint8 -> normalised floats at (pixels, pixels), bilinear with half-pixel centres."""
    x = F.interpolate(images.float() / 255, size=(pixels, pixels), mode="bilinear", align_corners=False)
    return ((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """Random crop from a 4-pixel reflection border, horizontal flip, one grey 8x8 square in each image."""
    n = len(images)
    padded = F.pad(images.float(), (4, 4, 4, 4), mode="reflect").byte()
    top, left = torch.randint(0, 9, (2, n), generator=rng)
    rows = (top[:, None] + torch.arange(32))[:, None, :, None]
    cols = (left[:, None] + torch.arange(32))[:, None, None, :]
    cropped = padded[torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None], rows, cols]
    flip = torch.rand(n, generator=rng) < 0.5
    cropped[flip] = cropped[flip].flip(3)
    y, x = torch.randint(0, 25, (2, n), generator=rng)
    grid = torch.arange(32)
    hole = ((grid >= y[:, None]) & (grid < y[:, None] + 8))[:, None, :, None]
    hole = hole & ((grid >= x[:, None]) & (grid < x[:, None] + 8))[:, None, None, :]
    return torch.where(hole, torch.tensor(118, dtype=torch.uint8), cropped)


@torch.no_grad()
def accuracy(model: MobileNetV2, images: Tensor, labels: Tensor, pixels: int) -> float:
    model.eval()
    hits = 0
    for i in range(0, len(images), 250):
        hits += int((model(prepare(images[i : i + 250], pixels)).argmax(1) == labels[i : i + 250]).sum())
    return hits / len(images)


def train(
    name: str, cycle: Cycle, model: MobileNetV2, folder: Path, checkpoint: Path, batch: int = 125, seed: int = 7
) -> MobileNetV2:
    """One cycle; returns the averaged model. Goes on from `checkpoint` if it is there."""
    images, labels = load_split(folder, "train")
    test_images, test_labels = load_split(folder, "test")
    steps_per_epoch = len(images) // batch
    total = steps_per_epoch * len(cycle.epoch_pixels)
    optimizer = torch.optim.SGD(model.parameters(), cycle.peak_rate, momentum=0.9, nesterov=True, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, cycle.peak_rate, total_steps=total, pct_start=0.2, final_div_factor=1e3
    )
    ema = copy.deepcopy(model)
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        first = saved["epoch"]
        for part, key in ((model, "model"), (ema, "ema"), (optimizer, "optimizer"), (schedule, "schedule")):
            part.load_state_dict(saved[key])
    for epoch in range(first, len(cycle.epoch_pixels)):
        rng = torch.Generator().manual_seed(seed + epoch)
        torch.manual_seed(seed + epoch)
        order = torch.randperm(len(images), generator=rng)
        model.train()
        started, seen = time.monotonic(), 0.0
        for step in range(steps_per_epoch):
            pick = order[step * batch : (step + 1) * batch]
            x = prepare(augment(images[pick], rng), cycle.epoch_pixels[epoch])
            loss = F.cross_entropy(model(x), labels[pick], label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            average(ema, model, min(0.998, 1 - 10 / (10 + epoch * steps_per_epoch + step)))
            seen += loss.item()
            if step % 50 == 49:
                rate = (step + 1) * batch / (time.monotonic() - started)
                print(
                    f"{name} epoch {epoch} step {step + 1}/{steps_per_epoch} loss {seen / 50:.3f} {rate:.0f} img/s",
                    flush=True,
                )
                seen = 0.0
        score = accuracy(ema, test_images[:2000], test_labels[:2000], cycle.epoch_pixels[epoch])
        print(f"{name} epoch {epoch}: {score:.4f} on 2,000 test images, {time.monotonic() - started:.0f} s", flush=True)
        torch.save(
            {
                "epoch": epoch + 1,
                "model": model.state_dict(),
                "ema": ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            },
            checkpoint,
        )
    score = accuracy(ema, test_images, test_labels, cycle.epoch_pixels[-1])
    print(f"{name}: top-1 {score:.4f} on the {len(test_images):,} test images", flush=True)
    return ema


def last_checkpoint(work: Path, name: str) -> Path:
    """Where the last cycle of a model leaves its weights."""
    return work / f"{name}.{len(PLANS[name].cycles) - 1}.pt"


def build(name: str, args: argparse.Namespace) -> MobileNetV2:
    plan = PLANS[name]
    model = MobileNetV2(10, plan.stages, plan.head).to(memory_format=torch.channels_last)
    start = args.imagenet if name == "main" else last_checkpoint(args.work, "main")
    state = torch.load(start, weights_only=True, map_location="cpu")
    taken = model.load_matching(state.get("ema", state))
    print(f"{name}: {taken} tensors taken from {start.name}")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument("--cifar", type=Path, required=True, help="folder with train.npz and test.npz")
    parser.add_argument("--imagenet", type=Path, help="torchvision's MobileNetV2 weights (.pth), for `main`")
    parser.add_argument("--work", type=Path, default=Path(), help="where checkpoints and models go")
    parser.add_argument("--threads", type=int, default=max(1, torch.get_num_threads()))
    args = parser.parse_args()
    if args.name == "main" and args.imagenet is None:
        parser.error("main starts from ImageNet weights: give --imagenet FILE.pth")
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    model = build(args.name, args)
    for number, cycle in enumerate(PLANS[args.name].cycles):
        model = train(args.name, cycle, model, args.cifar, args.work / f"{args.name}.{number}.pt")
    pixels = PLANS[args.name].pixels
    path = args.work / f"cifar10_{args.name}.onnx"
    export(model, pixels, path)
    millions = math.fsum(p.numel() for p in model.parameters()) / 1e6
    print(f"{args.name}: {path.name}, {millions:.2f} M parameters, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
