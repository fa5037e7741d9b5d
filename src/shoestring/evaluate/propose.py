"""Propose the pre-processing when nobody states it, and notice when it is wrong.

A wrong pre-processing is the commonest reason for a model that answers nonsense, and nothing in an ONNX file names the
right one. The usual conventions are few, so they are tried. Labels decide between them; without labels a measure of how
much the answers say can only suggest one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError, EngineError
from shoestring.base.limits import MIB
from shoestring.base.outputs import Float64, softmax
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate.chance import CHECK_HINT, binomial_tail, check_diverse, check_not_chance
from shoestring.evaluate.conventions import CONVENTIONS, GREY_CONVENTIONS
from shoestring.evaluate.dataset_labels import check_label_range
from shoestring.evaluate.metrics import top_classes
from shoestring.inputs.image import tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.domain.model import TensorSpec
    from shoestring.evaluate.dataset import Dataset
    from shoestring.inputs.image import Pixels

    Run = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

__all__ = ["CONVENTIONS", "Proposal", "check_diverse", "check_not_chance", "information", "propose"]

MAX_TRIED = 100  # images; conventions differ by tens of points when one is right
MAX_TRIED_BYTES = 64 * MIB  # of decoded pixels held at once; fewer images of large inputs are tried
BATCH = 8
TIE_P = 0.25  # a lead that luck alone gives this often is no lead; see `_first_as_good`
TIE_NATS = 0.02  # (x - 127) / 128 and -1..1 are nearly one and differ by less
CROP_FRACTION = 0.875  # 224 of 256: what nearly all ImageNet models are scored with (torchvision, timm)
CROP_FROM = 160  # pixels: smaller inputs are of data sets that fill the frame, such as CIFAR


@dataclass(frozen=True)
class Proposal:
    """What was found.

    Args:
        spec: the proposed pre-processing.
        convention: name of it.
        accuracy: top-1 of each convention tried, a fraction; None without labels.
        information: nats of each convention tried, see `information`; None with labels.
        checked: True when labels decided and the accuracy is clearly above chance; else it is a suggestion only.
        why: one line for people.
    """

    spec: Preprocess
    convention: str
    accuracy: tuple[tuple[str, float], ...] | None
    information: tuple[tuple[str, float], ...] | None
    checked: bool
    why: str


def propose(
    input_spec: TensorSpec,
    run: Run,
    dataset: Dataset,
    indices: Sequence[int],
) -> Proposal:
    """Try the usual conventions on a few images.

    With labels the most accurate one wins; if an earlier, simpler one is within noise of it, that is taken and said.
    Without labels the one whose answers hold most information is suggested.

    Args:
        input_spec: of the model's image input: 4 dimensions, 1 or 3 channels first or last, a fixed size, float32 or
            uint8.
        run: inputs (n, ...) of any n >= 1 to logits or probabilities (n, classes).
        dataset: where the images come from.
        indices: which to try, at most MAX_TRIED of them. They should not be of the certification split.

    Raises:
        DataError: the input is not an image of fixed size, no images are given, or the labels show that even the best
            convention is not clearly above chance; the message then holds the accuracy of each.
        EngineError: `run` answers in another shape, or with NaN for every convention.
    """
    layout, height, width, channels = _geometry(input_spec)
    tried = tuple(indices)[: max(1, min(MAX_TRIED, MAX_TRIED_BYTES // (height * width * channels)))]
    if not tried:
        raise DataError("no images to propose a pre-processing from", hint="state it in a preprocess.toml")
    conventions = CONVENTIONS if channels == 3 else GREY_CONVENTIONS
    if input_spec.dtype == "uint8":
        conventions = tuple(one for one in conventions if one.name.startswith("0..255"))
    resize, resize_to, geometry = _resize(dataset, tried, height, width)
    specs = tuple(
        Preprocess(
            height, width, resize, resize_to, colour=one.colour, scale=one.scale, mean=one.mean, std=one.std,
            layout=layout, dtype=input_spec.dtype,
        )
        for one in conventions
    )  # fmt: skip
    pixels = next(dataset.batches(tried, specs[0], len(tried)))
    outputs = [_outputs(run, pixels, spec) for spec in specs]
    if all(np.isnan(logits).any() for logits in outputs):
        raise EngineError("the model answers NaN under every pre-processing tried", hint=CHECK_HINT)
    names = tuple(one.name for one in conventions)
    if dataset.labels is None:
        best, scores, why = _by_information(names, outputs)
        accuracy, nats, checked = None, scores, False
    else:
        best, scores, why = _by_accuracy(names, outputs, [dataset.labels[index] for index in tried])
        accuracy, nats, checked = scores, None, True
    return Proposal(specs[best], names[best], accuracy, nats, checked, f"{why}; {geometry}")


def information(probabilities: Float64) -> float:
    """Mutual information between image and class, in nats: entropy of the mean answer less mean entropy.

    High when each answer is sure and the answers differ; an input out of range makes a model sure of the same few
    classes, which mean confidence alone rewards. Bridle, Heading and MacKay, "Unsupervised Classifiers, Mutual
    Information and 'Phantom Targets'", NIPS 1991.

    Args:
        probabilities: (n, classes), rows that add up to 1.
    """

    def entropy(rows: Float64) -> Float64:
        result: Float64 = -np.sum(rows * np.log(np.where(rows > 0, rows, 1.0)), axis=-1)
        return result

    return float(entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean())


def _geometry(spec: TensorSpec) -> tuple[str, int, int, int]:
    """(layout, height, width, channels) from the input's shape."""
    hint = "state the pre-processing in a preprocess.toml"
    if spec.dtype not in ("float32", "uint8"):
        raise DataError(f"input {spec.name!r} is of type {spec.dtype}, not float32 or uint8", hint=hint)
    if len(spec.shape) != 4:
        raise DataError(f"input {spec.name!r} has shape {spec.shape}, not that of images", hint=hint)
    _, second, third, fourth = spec.shape
    first, last = second in (1, 3), fourth in (1, 3)
    if first == last:
        raise DataError(f"input {spec.name!r} has shape {spec.shape}, which leaves open where colour is", hint=hint)
    layout, channels, height, width = ("nchw", second, third, fourth) if first else ("nhwc", fourth, second, third)
    if not (channels and height and width):
        raise DataError(f"input {spec.name!r} has shape {spec.shape}: the size of images is free", hint=hint)
    return layout, height, width, channels


def _resize(dataset: Dataset, tried: Sequence[int], height: int, width: int) -> tuple[str, int | None, str]:
    """Resize mode, length of the shorter side, and why. A few images show whether they need any of it."""
    sizes = {dataset.image(index).size for index in tried[:BATCH]}
    if sizes == {(width, height)}:
        return "stretch", None, "the images have the input's size"
    if height == width >= CROP_FROM:
        side = round(height / CROP_FRACTION)
        return "shorter-side", side, f"shorter side to {side} and centre crop, as usual for inputs of {width} pixels"
    return "stretch", None, "images stretched to the input's size"


def _outputs(run: Run, pixels: Pixels, spec: Preprocess) -> npt.NDArray[Any]:
    """Outputs (n, classes) under one convention; `pixels` are RGB or grey."""
    ordered = pixels[..., ::-1] if spec.colour == "bgr" else pixels
    parts = []
    for start in range(0, len(ordered), BATCH):
        inputs = tensor(ordered[start : start + BATCH], spec)
        logits = run(inputs)
        if logits.ndim != 2 or len(logits) != len(inputs) or logits.shape[1] < 1:
            raise EngineError(
                f"the model answers {len(inputs)} images with shape {logits.shape}, not (images, classes)",
                hint="only classifiers can have their pre-processing proposed",
            )
        parts.append(logits)
    return np.concatenate(parts)


def _by_information(
    names: Sequence[str], outputs: Sequence[npt.NDArray[Any]]
) -> tuple[int, tuple[tuple[str, float], ...], str]:
    nats = [-math.inf if np.isnan(logits).any() else information(_probabilities(logits)) for logits in outputs]
    best = next(i for i, value in enumerate(nats) if value >= max(nats) - TIE_NATS)
    rival = max((value for i, value in enumerate(nats) if i != best), default=-math.inf)
    why = f"{names[best]} is only a suggestion, there are no labels to check it: its answers say most"
    why += f" ({nats[best]:.2f} nats, the next {rival:.2f})" if math.isfinite(rival) else f" ({nats[best]:.2f} nats)"
    # A convention that gave NaN has no figure; -inf would not survive being stored.
    return best, tuple((name, value) for name, value in zip(names, nats, strict=True) if math.isfinite(value)), why


def _by_accuracy(
    names: Sequence[str], outputs: Sequence[npt.NDArray[Any]], labels: Sequence[int]
) -> tuple[int, tuple[tuple[str, float], ...], str]:
    n, classes = len(labels), outputs[0].shape[1]
    check_label_range(labels, classes)
    right = []
    for logits in outputs:
        usable = not np.isnan(logits).any()
        first = [top[0] for top in top_classes(logits, 1)] if usable else [-1] * n
        right.append([one == label for one, label in zip(first, labels, strict=True)])
    hits = [sum(row) for row in right]
    leader = hits.index(max(hits))
    table = tuple((name, count / n) for name, count in zip(names, hits, strict=True))
    try:
        check_not_chance(hits[leader], n, classes)
    except DataError as error:
        tried = ", ".join(f"{name} {100 * value:.0f} %" for name, value in table)
        raise DataError(f"no usual pre-processing suits: {error.message}; tried: {tried}", hint=error.hint) from None
    best = _first_as_good(right, leader)
    why = f"{names[best]} is right on {hits[best]} of {n} images"
    if best != leader:
        why += f", within noise of {names[leader]} with {hits[leader]}, and simpler"
    else:
        others = [i for i in range(len(hits)) if i != best]
        if others:
            second = max(others, key=lambda i: hits[i])
            why += f", next {names[second]} with {hits[second]}"
            why += " (within noise)" if _lead_p(right[best], right[second]) > TIE_P else ""
    return best, table, why


def _first_as_good(right: Sequence[Sequence[bool]], leader: int) -> int:
    """The earliest convention that the leader does not clearly beat."""
    return next(i for i in range(len(right)) if i == leader or _lead_p(right[leader], right[i]) > TIE_P)


def _lead_p(leader: Sequence[bool], other: Sequence[bool]) -> float:
    """One-sided sign test of paired outcomes: how often luck alone gives such a lead (McNemar 1947, exact)."""
    wins = sum(a and not b for a, b in zip(leader, other, strict=True))
    losses = sum(b and not a for a, b in zip(leader, other, strict=True))
    return binomial_tail(wins, wins + losses, 0.5)


def _probabilities(outputs: npt.NDArray[Any]) -> Float64:
    """Outputs that already are probabilities stay as they are; logits go through softmax."""
    values = np.asarray(outputs, np.float64)
    if values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        return values
    return softmax(values)
