"""Whether a candidate runs on another runtime at all, and roughly how fast: one look, in a process of its own.

The figures only decide what is worth converting; what ranks candidates is measured side by side later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.analysis import features_of
from shoestring.base.errors import ChildError, EngineError, MissingExtraError
from shoestring.costmodel.feeds import random_feeds
from shoestring.domain.estimate import NoClaim
from shoestring.fitting.sources import sources_digest
from shoestring.runtimes import guarded, registry

if TYPE_CHECKING:
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.elsewhere import Elsewhere
    from shoestring.fitting.workbench import Workbench

WARM_RUNS, TIMED_RUNS = 5, 10


@dataclass(frozen=True)
class Look:
    """What one look found.

    Args:
        ms: median of a few runs at all threads; None when it failed.
        fault: why it failed, or None.
    """

    ms: float | None
    fault: str | None


def look(bench: Workbench, artefact: Artefact) -> Look:
    """Load and run an artefact in a process of its own; kept, unless it failed."""
    question = {
        "look at": artefact.sha256,
        "runtime": artefact.runtime,
        "version": registry.get(artefact.runtime).version(),
        "machine": bench.machine,
        "threads": bench.threads,
        "runtimes": sources_digest("runtimes"),
    }
    try:
        return bench.cache.noun("looks", question, Look, lambda: _look(bench, artefact))
    except (EngineError, ChildError, MissingExtraError) as error:
        return Look(None, error.message)


def _look(bench: Workbench, artefact: Artefact) -> Look:
    with guarded.load(artefact.runtime, artefact.path, bench.threads) as session:
        session.run(random_feeds(session.inputs))
        return Look(float(np.median(session.time_block(TIMED_RUNS, WARM_RUNS))), None)


def fault(bench: Workbench, artefact: Artefact) -> str | None:
    """Why an artefact does not run here, or None."""
    return look(bench, artefact).fault


def times(bench: Workbench, artefacts: Sequence[Artefact], there: Elsewhere | None) -> dict[str, float | None]:
    """Milliseconds of one example by name; None where nothing is known.

    Args:
        bench: of the fit.
        artefacts: of one recipe on several runtimes.
        there: the chip to predict for; None looks here.
    """
    if there is None:
        return {one.name: look(bench, one).ms for one in artefacts}
    from shoestring.fitting.elsewhere import arithmetic, predict_latency

    features = features_of(bench.model)
    found: dict[str, float | None] = {}
    for one in artefacts:
        claim = predict_latency(there, features, one.runtime, arithmetic(one), there.chip.cores)
        found[one.name] = None if isinstance(claim, NoClaim) else claim.value
    return found


__all__ = ["Look", "fault", "look", "times"]
