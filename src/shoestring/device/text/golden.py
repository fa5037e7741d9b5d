"""Replay the golden texts of an encoder: does this device answer as the machine did that certified it?"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base import canonical
from shoestring.base.errors import (
    BundleError,
    EngineError,
    EngineFaultError,
    GoldenError,
    SlotError,
    TrustError,
    UsageError,
)
from shoestring.base.limits import GOLDEN_INPUTS
from shoestring.bundle.refusal import refuse
from shoestring.device.golden import golden_outputs
from shoestring.domain.text import CLASSIFICATION, GoldenTexts
from shoestring.runtimes import guarded

if TYPE_CHECKING:
    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Rung

Array = npt.NDArray[Any]


def golden_texts(bundle: Bundle) -> tuple[str, ...]:
    """The golden texts. Raises BundleError when they are none, too many, or those of a model that writes."""
    found = canonical.decode(bundle.read(bundle.manifest.golden.inputs), GoldenTexts, BundleError)
    if not 1 <= len(found.texts) <= GOLDEN_INPUTS:
        raise refuse(f"there are {len(found.texts)} golden texts, not 1 to {GOLDEN_INPUTS}")
    if found.tokens is not None:
        raise refuse("its golden texts are prompts, and it is an encoder's bundle")
    return found.texts


def replay_texts(
    bundle: Bundle, rung: Rung, infer: Callable[[str], Array], here: Callable[[], str], texts: tuple[str, ...]
) -> None:
    """Run every golden text and compare.

    Args:
        bundle: that the golden set is of.
        rung: that is loaded.
        infer: text -> (values,).
        here: name and version of the runtime in use; called only to word an error.
        texts: as `golden_texts` gives them.

    Raises:
        BundleError: the outputs do not fit the texts.
        GoldenError: an output differs by more than the rung's tolerance or is not a number, or the best class is
            another one. The message names the worst text.
    """
    expected = golden_outputs(bundle, rung, len(texts))
    tolerance = bundle.manifest.golden.tolerance[rung.name]
    text = bundle.manifest.text
    classes = text is not None and text.kind == CLASSIFICATION
    failures: list[tuple[float, str]] = []
    for number, (given, want) in enumerate(zip(texts, expected, strict=True), start=1):
        got = infer(given)
        if got.shape != want.shape:
            failures.append((np.inf, f"text {number} gives shape {got.shape}, expected {want.shape}"))
            continue
        with np.errstate(invalid="ignore"):  # NaN and infinity are told below
            distance = float(np.max(np.abs(got.astype(np.float64) - want.astype(np.float64))))
        # `not <=` and not `>`, so that NaN counts as a difference.
        if not distance <= tolerance:
            words = f"text {number} is off by {distance:.4g}, the tolerance is {tolerance:.4g}"
            failures.append((distance if distance == distance else np.inf, words))
        elif classes and int(np.argmax(got)) != int(np.argmax(want)):
            failures.append((distance, f"text {number} gives class {np.argmax(got)}, expected {np.argmax(want)}"))
    if failures:
        worst = max(failures, key=lambda failure: failure[0])[1]
        candidate = rung.candidate
        raise GoldenError(
            f"rung {rung.name!r} answers otherwise here on {len(failures)} of {len(texts)} golden texts; worst: "
            f"{worst}; made on {candidate.runtime} {candidate.runtime_version}; here {here()}",
            hint="use another rung, the runtime version of the certificate, or fit again on this kind of machine",
        )


def replay_rungs(bundle: Bundle, absent: Collection[str], seconds: float, memory_bytes: int | None) -> tuple[str, ...]:
    """Replay every rung that could be picked here, its engine in a process of its own (step 7 of an activation).

    Args:
        bundle: open.
        absent: rungs that are left out, since their runtime is.
        seconds: to load the model, and for each text.
        memory_bytes: of the process; None: no limit but the machine's.

    Raises:
        SlotError: one crashed, hung, took too much memory, was refused by its runtime, or answers otherwise here.
    """
    from shoestring.device.text.player import TextPlayer

    names = [rung.name for rung in bundle.manifest.ladder.rungs if rung.name not in absent]
    for name in names:
        runtime = bundle.manifest.ladder.rung(name).candidate.runtime
        limits = guarded.Limits(load_s=seconds, run_s=seconds, memory_bytes=memory_bytes)
        try:
            with TextPlayer(bundle, rung=name, runtime=guarded.GuardedRuntime(runtime, limits)):
                pass
        except EngineFaultError as error:
            reason = {"hung": "hung", "nan": "golden", "shape": "golden"}.get(error.fault, "crashed")
            raise SlotError(f"rung {name!r} does not answer here: {error.message}", reason, hint=error.hint) from error
        except (TrustError, EngineError) as error:
            words = f"rung {name!r} does not answer here as it must: {error.message}"
            raise SlotError(words, "golden", hint=error.hint) from error
        except UsageError as error:  # a part of the runtime or the tokenizer is not installed
            raise SlotError(f"rung {name!r}: {error.message}", "runtime", hint=error.hint) from error
    return tuple(names)


__all__ = ["golden_texts", "replay_rungs", "replay_texts"]
