"""The page's sentences about one ladder, for readers who do not know statistics."""

from __future__ import annotations

from shoestring.base.units import format_bytes
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Timing
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.score import AGREEMENT, DETECTION_AGREEMENT, NEIGHBOUR_AGREEMENT, Certificate, Paired
from shoestring.domain.text import EMBEDDING, TextInput
from shoestring.report.rows import Row, Rows
from shoestring.report.words import confidence, count, counted, limit_ms, listed, margin, share, significant, times

IMAGE, TEXT = "image", "text"
"""What a model answers, in the page's words."""
METRICS = {
    "top-1": "top-1 accuracy",
    "top-5": "top-5 accuracy",
    "agreement": "agreement with the original",
    "detection-agreement": "images with the original's objects",
    "neighbour-agreement": "nearest neighbours kept",
}
SPLIT_USES = {
    "calibration": "setting the ranges of the int8 numbers",
    "selection": "comparing the candidates and choosing the rungs",
    "certification": "the certificates alone; no choice has seen any of it",
}


def metric_name(metric: str) -> str:
    """`top-1` -> 'top-1 accuracy'; an unknown metric is its own name."""
    return METRICS.get(metric, metric)


def headline(rows: Rows, thing: str = IMAGE) -> str:
    """What the chosen rung gives and what it costs, in one sentence."""
    row = rows.chosen
    runs = speed(row.timing) if rows.chip is None else f"by estimate {speed(row.timing)} on {rows.chip},"
    return f"{row.name} {runs} {_size(rows)} and {_promise(row, thing)}."


def speed(timing: Timing) -> str:
    """'runs 2.13 times as fast as the original (1.95–2.30)'."""
    low, high = times(1 / timing.ratio_high), times(1 / timing.ratio_low)
    return f"runs {times(1 / timing.ratio_to_original)} times as fast as the original ({low}–{high})"


def _size(rows: Rows) -> str:
    size_bytes = rows.chosen.candidate.cost.size_bytes
    if rows.baseline is None:
        return f"in {format_bytes(size_bytes)}"
    ratio = size_bytes / rows.baseline.candidate.cost.size_bytes
    if 0.97 <= ratio <= 1.03:
        return "at the same size"
    return f"in {share(ratio)} of the size" if ratio < 1 else f"at {times(ratio)} times the size"


def _promise(row: Row, thing: str) -> str:
    given = row.certificate
    if given is None:
        return "computes the original's own function, so its answers are the original's"
    proof = f"(certified at {confidence(given.confidence)}, n = {count(given.paired.n)})"
    if given.metric == DETECTION_AGREEMENT:
        return f"loses or invents an object on at most {100 * given.max_drop:.4g} % of images {proof}"
    if given.metric == AGREEMENT:
        return f"answers differently from the original on at most {100 * given.max_drop:.4g} % of {thing}s {proof}"
    if given.metric == NEIGHBOUR_AGREEMENT:
        return f"finds another nearest neighbour for at most {100 * given.max_drop:.4g} % of {thing}s {proof}"
    return f"loses at most {margin(given.max_drop)} of {metric_name(given.metric)} {proof}"


def statement(given: Certificate, thing: str = IMAGE) -> str:
    """The certificate as a sentence that a maker can repeat."""
    level, of_1000 = confidence(given.confidence), significant(1000 * given.max_drop, 2)
    if given.metric == DETECTION_AGREEMENT:
        return (
            f"With {level} confidence, on images like those of the certification split, it loses a confident object of "
            f"the original or invents one on at most {100 * given.max_drop:.4g} % of images: at most {of_1000} "
            f"of every 1,000."
        )
    if given.metric in (AGREEMENT, NEIGHBOUR_AGREEMENT):
        what = "first answer" if given.metric == AGREEMENT else "nearest neighbour among the calibration texts"
        return (
            f"With {level} confidence, on {thing}s like those of the certification split, its {what} differs from "
            f"the original's on at most {100 * given.max_drop:.4g} % of {thing}s: at most {of_1000} of every 1,000."
        )
    return (
        f"With {level} confidence, on {thing}s like those of the certification split, it loses at most "
        f"{margin(given.max_drop)} of {metric_name(given.metric)}: of every 1,000 {thing}s it gets at most {of_1000} "
        f"fewer right than the original."
    )


def tally(metric: str, paired: Paired) -> list[tuple[str, int]]:
    """The counts behind a certificate, named."""
    if metric == DETECTION_AGREEMENT:
        return [("same objects", paired.variant_hits), ("an object lost or invented", paired.losses)]
    if metric == AGREEMENT:
        return [("same answer", paired.variant_hits), ("another answer", paired.losses)]
    if metric == NEIGHBOUR_AGREEMENT:
        return [("same neighbour", paired.variant_hits), ("another neighbour", paired.losses)]
    both_right = paired.original_hits - paired.losses
    return [
        ("both right", both_right),
        ("losses: only the original right", paired.losses),
        ("wins: only this rung right", paired.wins),
        ("both wrong", paired.n - both_right - paired.losses - paired.wins),
    ]


def budget_words(budget: Budget) -> str:
    """What was asked for, as a list in words; says so when nothing was."""
    asked = []
    if budget.max_drop is not None:
        asked.append(f"a drop of at most {margin(budget.max_drop)} at {confidence(budget.confidence)} confidence")
    if budget.latency_ms is not None:
        asked.append(f"a latency of at most {limit_ms(budget.latency_ms)}")
    if budget.memory_bytes is not None:
        asked.append(f"at most {format_bytes(budget.memory_bytes)} of memory")
    if budget.size_bytes is not None:
        asked.append(f"a model of at most {format_bytes(budget.size_bytes)}")
    judged = "" if budget.threads is None else f", on {counted(budget.threads, 'thread')}"
    return f"Asked for: {listed(asked)}{judged}." if asked else f"No limit was asked for{judged}."


def text_steps(spec: TextInput) -> list[str]:
    """How a text becomes the model's input, one step a sentence."""
    steps = [
        "Cut the text into tokens by the tokenizer that the bundle holds.",
        f"Keep the first {spec.max_tokens:,} of them; the program says where a text was cut.",
        f"Pad to the next of {listed([str(one) for one in spec.buckets])} tokens, and mark what is padding.",
    ]
    last = " of length one" if spec.normalized else ""
    return [
        *steps,
        f"The model's output is a vector{last}." if spec.kind == EMBEDDING else "The output is a score a class.",
    ]


def preprocess_steps(spec: Preprocess) -> list[str]:
    """How an image becomes the model's input, one step a sentence."""
    colours = {"rgb": "red, green, blue", "bgr": "blue, green, red", "grey": "one grey channel"}
    steps = [f"Decode the image; take its colours as {colours.get(spec.colour, spec.colour)}."]
    size, how = f"{spec.width} × {spec.height} pixels (width × height)", f"{spec.filter} filter"
    if spec.filter != "nearest":
        how += ", antialiased when shrinking"
    if spec.resize == "stretch":
        steps.append(f"Stretch it to {size} ({how}); the aspect ratio is not kept.")
    elif spec.resize == "shorter-side":
        steps.append(f"Resize it so that the shorter side is {spec.resize_to} pixels ({how}).")
        steps.append(f"Cut {size} out of the centre.")
    elif spec.resize == "letterbox":
        steps.append(f"Resize it so that it just fits into {size} ({how}), and fill the rest with grey bars.")
    else:
        steps.append(f"Do not resize: it has to be {size}.")
    if spec.dtype == "uint8":
        steps.append("Keep the pixel values as they are, 0 to 255.")
    else:
        steps.append(
            f"Multiply each pixel value (0 to 255) by {spec.scale:.6g}, subtract {_channels(spec.mean)} and divide by "
            f"{_channels(spec.std)}, channel by channel."
        )
    layout = "channels first (NCHW)" if spec.layout == "nchw" else "channels last (NHWC)"
    steps.append(f"Hand it over as {spec.dtype}, {layout}.")
    return steps


def _channels(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:.6g}' for value in values)})"
