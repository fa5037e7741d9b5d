"""Rotary positions (Su et al., "RoFormer", 2021, arXiv 2104.09864) and the ways to stretch them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoestring.importers.huggingface.fields import Fields

_KNOWN = ("default", "linear", "yarn", "llama3")
# What YaRN (Peng et al., 2023, arXiv 2309.00071) takes where nothing is said, there and in llama.cpp.
_YARN = {"beta_fast": 32.0, "beta_slow": 1.0}
_YARN_UNKNOWN = ("attention_factor", "mscale", "mscale_all_dim", "truncate")
MAX_FACTOR = 4_096.0


@dataclass(frozen=True)
class Rope:
    """Rotary positions of a decoder.

    Args:
        theta: the base of the wavelengths.
        kind: `default`; `linear` (positions divided by `factor`); `yarn`; `llama3`.
        factor: by which the context was stretched.
        original: tokens of the context before that.
        low, high: bounds of `llama3`'s smooth part, as fractions of the original context a wavelength.
    """

    theta: float
    kind: str = "default"
    factor: float = 1.0
    original: int = 0
    low: float = 1.0
    high: float = 4.0


def rope_of(config: Fields, theta: float, context: int, *, part: str | None = None) -> Rope:
    """What config.json states, under either of the names that transformers has had for it.

    Args:
        theta: where it states none.
        context: the longest text.
        part: kind of layer, where every kind has positions of its own.

    Raises:
        ModelError: a way of stretching that is not known, by name.
    """
    found = config.inner("rope_parameters")
    if part is not None and part in found.values:
        found = found.inner(part)
    old = config.inner("rope_scaling")
    scaling = old if old.values else found
    theta = config.number("rope_theta", found.number("rope_theta", theta))
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    if kind not in _KNOWN:
        raise scaling.wrong("rope_type" if "rope_type" in scaling.values else "type", f"known are {', '.join(_KNOWN)}")
    if not 1.0 <= theta <= 1e12:
        raise config.wrong("rope_theta", "expected 1 to 10^12")
    if config.number("partial_rotary_factor", found.number("partial_rotary_factor", 1.0)) != 1.0:
        raise config.wrong("partial_rotary_factor", "and only whole heads are turned here")
    if kind == "default":
        return Rope(theta)
    factor = scaling.number("factor")
    if not 1.0 <= factor <= MAX_FACTOR:
        raise scaling.wrong("factor", f"expected 1 to {MAX_FACTOR:g}")
    original = scaling.integer("original_max_position_embeddings", 1, 1 << 30, context)
    if kind == "yarn":
        _check_yarn(scaling)
    low, high = scaling.number("low_freq_factor", 1.0), scaling.number("high_freq_factor", 4.0)
    if kind == "llama3" and not 0 < low < high:
        raise scaling.wrong("low_freq_factor", f"expected more than 0 and less than high_freq_factor, {high:g}")
    return Rope(theta, kind, factor, original, low, high)


def _check_yarn(scaling: Fields) -> None:
    for key, usual in _YARN.items():
        if scaling.number(key, usual) != usual:
            raise scaling.wrong(key, f"and only {usual:g} is read")
    for key in _YARN_UNKNOWN:
        if scaling.get(key) is not None:
            raise scaling.wrong(key, "which is not read: nothing of it is guessed")


def llama3_factors(rope: Rope, head_width: int) -> npt.NDArray[np.float32]:
    """By how much every wavelength grows, (head_width / 2,): what Llama 3.1's class does to its frequencies.

    Short wavelengths stay, long ones grow by `factor`, those between are blended
    (transformers, modeling_rope_utils.py, `_compute_llama3_parameters`).
    """
    frequencies = rope.theta ** -(np.arange(0, head_width, 2, dtype=np.float64) / head_width)
    turns = rope.original * frequencies / (2 * np.pi)  # of the original context: context / wavelength
    blend = np.clip((turns - rope.low) / (rope.high - rope.low), 0.0, 1.0)
    return np.asarray(1.0 / ((1.0 - blend) / rope.factor + blend), np.float32)
