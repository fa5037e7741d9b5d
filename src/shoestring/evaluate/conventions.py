"""The usual ways to scale pixels, simplest first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convention:
    """A usual way to scale pixels: the fields of Preprocess that go by habit, for one channel or three."""

    name: str
    colour: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # in the order r, g, b


def _conventions() -> tuple[Convention, ...]:
    """Simplest first, all of RGB before BGR. Mean and std go with their colour, so BGR turns them round."""
    found = []
    for colour, step in (("rgb", 1), ("bgr", -1)):
        for name, scale, mean, std in (
            ("0..1", 1 / 255, (0.0,) * 3, (1.0,) * 3),
            ("ImageNet", 1 / 255, *_IMAGENET),
            ("-1..1", 1 / 255, (0.5,) * 3, (0.5,) * 3),
            ("(x-127)/128", 1.0, (127.0,) * 3, (128.0,) * 3),
            ("0..255", 1.0, (0.0,) * 3, (1.0,) * 3),
        ):
            found.append(Convention(f"{name} {colour.upper()}", colour, scale, mean[::step], std[::step]))
    return tuple(found)


CONVENTIONS = _conventions()
GREY_CONVENTIONS = (
    Convention("0..1 grey", "grey", 1 / 255, (0.0,), (1.0,)),
    Convention("-1..1 grey", "grey", 1 / 255, (0.5,), (0.5,)),
    Convention("MNIST", "grey", 1 / 255, (0.1307,), (0.3081,)),  # of its training set; in nearly every tutorial
    Convention("(x-127)/128 grey", "grey", 1.0, (127.0,), (128.0,)),
    Convention("0..255 grey", "grey", 1.0, (0.0,), (1.0,)),
)
