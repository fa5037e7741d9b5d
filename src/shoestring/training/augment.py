"""Other views of an image; original and student always see the same one.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022: same crop for both, and
mixtures of images (Zhang et al., "mixup", ICLR 2018), since the original's answer to any picture is worth learning.
"""

from __future__ import annotations

from typing import Any

from shoestring.training.lib import functional, torch

SMALLEST_SIDE = 0.7  # of a crop, as a part of the image's side
MIXED_PART = 0.5  # of a batch


def view(images: Any, seed: int) -> Any:
    """Random crop, resize, flip, and mixture with another image.

    Args:
        images: (n, channels, height, width) as the model takes them.
        seed: fixes everything.
    """
    rng = torch.Generator().manual_seed(seed)
    n = len(images)
    side = SMALLEST_SIDE + (1 - SMALLEST_SIDE) * torch.rand(n, generator=rng)
    shift = (1 - side)[:, None] * (2 * torch.rand(n, 2, generator=rng) - 1)
    mirror = 1 - 2 * (torch.rand(n, generator=rng) < 0.5).float()
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, :, 2] = side * mirror, side, shift
    grid = functional.affine_grid(matrix.to(images.device), list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    part = torch.rand(n, generator=rng) * (torch.rand(n, generator=rng) < MIXED_PART).float() / 2
    part = part.view(-1, 1, 1, 1).to(images.device)
    others = torch.randperm(n, generator=rng).to(images.device)
    # grid_sample gives another memory layout, in which convolutions on a CPU take four times as long.
    return torch.lerp(seen, seen[others], part).contiguous(memory_format=torch.channels_last)
