"""Networks that the benchmark of compiled programs adds to the real models: plain torch, for export only.

Sources: Howard et al., "MobileNets", 2017, table 1; He et al., "Deep Residual Learning for Image Recognition", CVPR
2016, table 1 (the stride of a bottleneck sits in its 3x3 convolution, as torchvision has it); Redmon and Farhadi,
"YOLOv3: An Incremental Improvement", 2018, in the layout of yolov3-tiny.cfg.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# channels out, stride
MOBILENET_V1 = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
CALIBRATION_SEED = 11
DARKNET_HEADER = 5  # int32 words: major, minor, revision, and the 64-bit count of images seen


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)
    )


class MobileNetV1(nn.Module):
    """Input (N, 3, 224, 224), output (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn(3, 32, 3, 2), nn.ReLU6()]
        channels = 32
        for c_out, stride in MOBILENET_V1:
            layers += [conv_bn(channels, channels, 3, stride, channels), nn.ReLU6()]
            layers += [conv_bn(channels, c_out, 1), nn.ReLU6()]
            channels = c_out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class Residual(nn.Module):
    """A basic block (two 3x3) or a bottleneck (1x1, 3x3, 1x1) with its shortcut."""

    def __init__(self, c_in: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        c_out = width * 4 if bottleneck else width
        if bottleneck:
            steps = [conv_bn(c_in, width, 1), conv_bn(width, width, 3, stride), conv_bn(width, c_out, 1)]
        else:
            steps = [conv_bn(c_in, width, 3, stride), conv_bn(width, c_out, 3)]
        self.steps = nn.ModuleList(steps)
        self.shortcut = conv_bn(c_in, c_out, 1, stride) if stride != 1 or c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for step in self.steps[:-1]:
            y = F.relu(step(y))
        return F.relu(self.steps[-1](y) + self.shortcut(x))


class ResNet(nn.Module):
    """Input (N, 3, 224, 224), output (N, 1000).

    Args:
        blocks: in each of the four stages.
        bottleneck: 1x1, 3x3, 1x1 blocks (ResNet-50) or two 3x3 (ResNet-18).
    """

    def __init__(self, blocks: tuple[int, int, int, int], bottleneck: bool) -> None:
        super().__init__()
        self.stem = conv_bn(3, 64, 7, 2)
        layers: list[nn.Module] = []
        channels = 64
        for stage, count in enumerate(blocks):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                layers.append(Residual(channels, 64 << stage, stride, bottleneck))
                channels = (64 << stage) * (4 if bottleneck else 1)
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        return self.classifier(self.layers(x).mean((2, 3)))


class YoloV3Tiny(nn.Module):
    """Input (N, 3, 416, 416), pixels in 0..1; outputs (N, 255, 26, 26) and (N, 255, 13, 13), before decoding."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 128, 256, 512, 1024)
        # in the order of the file that holds the weights
        self.trunk = nn.ModuleList([conv_bn(a, b, 3) for a, b in itertools.pairwise(widths)])
        self.neck = conv_bn(1024, 256, 1)
        self.coarse = conv_bn(256, 512, 3)
        self.coarse_out = nn.Conv2d(512, 255, 1)
        self.lateral = conv_bn(256, 128, 1)
        self.fine = conv_bn(384, 256, 3)
        self.fine_out = nn.Conv2d(256, 255, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for i, step in enumerate(self.trunk):
            x = F.leaky_relu(step(x), 0.1)
            if i == 4:
                skip = x
            if i < 5:
                x = F.max_pool2d(x, 2, 2)
            elif i == 5:  # stride 1, same size: one more column and row at the far side; see native_models.fold_pads
                x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)
        x = F.leaky_relu(self.neck(x), 0.1)
        coarse = self.coarse_out(F.leaky_relu(self.coarse(x), 0.1))
        up = F.interpolate(F.leaky_relu(self.lateral(x), 0.1), scale_factor=2.0, mode="nearest")
        fine = F.leaky_relu(self.fine(torch.cat([up, skip], 1)), 0.1)
        return self.fine_out(fine), coarse

    def load_darknet(self, words: npt.NDArray[np.float32]) -> None:
        """Take the weights of a yolov3-tiny.weights file.

        Args:
            words: the whole file as float32. A layer with batch norm is stored as shift, scale, mean, variance and
                weights; one without as bias and weights.
        """
        place = DARKNET_HEADER

        def take(into: Tensor) -> None:
            nonlocal place
            into.copy_(torch.from_numpy(words[place : place + into.numel()].copy()).reshape(into.shape))
            place += into.numel()

        with torch.no_grad():
            for layer in (*self.trunk, self.neck, self.coarse, self.coarse_out, self.lateral, self.fine, self.fine_out):
                if isinstance(layer, nn.Sequential):
                    conv, norm = layer
                    for tensor in (norm.bias, norm.weight, norm.running_mean, norm.running_var):
                        take(tensor)
                else:
                    conv = layer
                    take(conv.bias)
                take(conv.weight)
        if place != len(words):
            raise SystemExit(f"the weights file holds {len(words)} words, the network takes {place}")


def settle(net: nn.Module, images: Tensor) -> nn.Module:
    """Seeded random weights whose batch norms know the statistics of `images` (n, 3, H, W), so that no layer dies."""
    torch.manual_seed(CALIBRATION_SEED)
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0.0, 0.3)
            part.momentum = None  # the plain mean over all batches
    net.train()
    with torch.no_grad():
        net(images)
    return net.eval()
