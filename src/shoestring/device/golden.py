"""Replay the golden set: does this device answer as the machine did that the certificate was made on?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import GoldenError, StorageError
from shoestring.base.limits import GOLDEN_INPUTS
from shoestring.bundle.refusal import refuse
from shoestring.device.npy import read_npy
from shoestring.heads import DEFAULT_RULE, compare, detect

if TYPE_CHECKING:
    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Ladder, Rung
    from shoestring.domain.manifest import Manifest

Array = npt.NDArray[Any]


def golden_inputs(bundle: Bundle) -> Array:
    """The golden images: uint8 (n, height, width, channels). Raises BundleError when they do not fit the manifest."""
    spec = bundle.manifest.pixels
    tail = (spec.height, spec.width, spec.channels)
    data = bundle.read(bundle.manifest.golden.inputs)
    return read_npy(data, dtype="uint8", tail=tail, max_rows=GOLDEN_INPUTS, what="golden inputs")


def golden_outputs(bundle: Bundle, rung: Rung, count: int) -> Array:
    """What the rung must answer: float32 (count, classes). Raises BundleError when they do not fit the manifest."""
    tail = bundle.manifest.output.shape[1:]
    data = bundle.read(bundle.manifest.golden.outputs[rung.name])
    outputs = read_npy(data, dtype="float32", tail=tail, max_rows=GOLDEN_INPUTS, what="golden outputs")
    if len(outputs) != count:
        raise refuse(f"there are {count} golden inputs and {len(outputs)} outputs of rung {rung.name!r}")
    return outputs


def replay(
    bundle: Bundle, rung: Rung, infer: Callable[[Array], Array], here: Callable[[], str], inputs: Array, expected: Array
) -> None:
    """Run every golden input and compare.

    Args:
        bundle: that the golden set is of.
        rung: that is loaded.
        infer: uint8 (height, width, channels) -> (classes,).
        here: name and version of the runtime in use; called only to word an error.
        inputs: as `golden_inputs` gives them.
        expected: as `golden_outputs` gives them.

    Raises:
        GoldenError: an output differs by more than the rung's tolerance or is not a number, or the best class is
            another one, or a detector loses or invents a confident object. The message names the worst input, by how
            much, and where the bundle was certified.
    """
    tolerance = bundle.manifest.golden.tolerance[rung.name]
    failures: list[tuple[float, str]] = []
    for number, (image, want) in enumerate(zip(inputs, expected, strict=True), start=1):
        got = infer(image)
        if got.shape != want.shape:
            failures.append((np.inf, f"input {number} gives shape {got.shape}, expected {want.shape}"))
            continue
        with np.errstate(invalid="ignore"):  # NaN and infinity are told below
            distance = float(np.max(np.abs(got.astype(np.float64) - want.astype(np.float64))))
        # `not <=` and not `>`, so that NaN counts as a difference.
        if not distance <= tolerance:
            words = f"input {number} is off by {distance:.4g}, the tolerance is {tolerance:.4g}"
            failures.append((distance if distance == distance else np.inf, words))
        else:
            other = _other_answer(bundle.manifest, got, want)
            if other is not None:
                failures.append((distance, f"input {number} gives {other}"))
    if failures:
        worst = max(failures, key=lambda failure: failure[0])[1]
        raise GoldenError(
            f"rung {rung.name!r} answers otherwise here on {len(failures)} of {len(inputs)} golden inputs; worst: "
            f"{worst}; {where(bundle.manifest.ladder, rung, here())}",
            hint="use another rung, the runtime version of the certificate, or fit again on this kind of machine",
        )


def _other_answer(manifest: Manifest, got: Array, want: Array) -> str | None:
    """What is answered instead, in words; None where the answer is the same."""
    if manifest.head is None:
        best, wanted = int(np.argmax(got)), int(np.argmax(want))
        return None if best == wanted else f"class {best}, expected {wanted}"
    size = (manifest.pixels.height, manifest.pixels.width)
    before, after = (detect(manifest.head, flat, size, DEFAULT_RULE.seen) for flat in (want, got))
    found = compare(before, after)
    if found.alike:
        return None
    return f"other boxes: of {found.confident} confident objects {found.lost} are lost, {found.invented} invented"


def where(ladder: Ladder, rung: Rung, here: str) -> str:
    """Runtime and instruction sets of the certificate, and ours; of an offered rung, who stood in for its runtime."""
    for offer in ladder.offered or ():
        if offer.name == rung.name:
            away = f"{rung.candidate.runtime}, which was not at hand"
            return f"{offer.stand_in} answered in the place of {away}; here {here}"
    items = (rung, *ladder.rungs)
    held = [one.isa for item in items for one in (item.certificate, item.kl_certificate) if one is not None]
    there = _sets(held[0]) if held else "unknown instruction sets"
    candidate = rung.candidate
    return f"made on {candidate.runtime} {candidate.runtime_version} with {there}; here {here} with {_our_sets()}"


def _our_sets() -> str:
    from shoestring.chips.host import this_machine

    try:
        return _sets(this_machine().isa)
    except StorageError:  # no /proc: the mismatch is what must be told, not this
        return "unknown instruction sets"


def _sets(isa: tuple[str, ...]) -> str:
    return ", ".join(isa) or "no special instruction sets"
