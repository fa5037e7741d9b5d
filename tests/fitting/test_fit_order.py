"""No image of the certification split is looked at before the candidates and their order are settled.

The watch is tried on two sabotaged fits: one certifies on the split it chose on, one peeks before it chooses.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from shoestring.base.errors import BundleError
from shoestring.domain.budget import Budget
from shoestring.evaluate.dataset import Dataset
from shoestring.fitting import Fitted, candidates, certify, fit
from shoestring.fitting.recheck import recheck
from shoestring.fitting.workbench import Workbench

settling: Any = importlib.import_module("shoestring.fitting.settling")
BUDGET = Budget(max_drop=0.05)


@dataclass
class Watch:
    """What happened, in order.

    Args:
        events: (`trace`, candidate, split), (`image`, hash, -), (`settled`, names, -) and (`certified`, -, -).
    """

    events: list[tuple[str, str, str]] = field(default_factory=list)

    def problems(self, fitted: Fitted) -> list[str]:
        """Every look at the certification split that came too early, and every certificate that does not rest on it."""
        kinds = [event[0] for event in self.events]
        settled, certified = kinds.index("settled"), kinds.index("certified")
        secret = set(fitted.evidence.split("certification").images)
        found = []
        for kind, what, split in self.events[:settled]:
            if (kind == "trace" and split == "certification") or (kind == "image" and what in secret):
                found.append(f"{kind} {what} before the order was settled")
        order = self.events[settled][1].split()
        scored = {
            what for kind, what, split in self.events[settled:certified] if (kind, split) == ("trace", "certification")
        }
        for rung in fitted.ladder.rungs:
            if rung.certificate is not None and not (rung.name in scored and rung.name in order):
                found.append(f"{rung.name} was certified without its certification images")
        return found


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    seen = Watch()
    trace, image, admit, certify_all = Workbench.trace, Dataset.image, settling.admit, certify.certify_all

    def spy_trace(self: Workbench, name: str, artefact: Any, sha256: str, split: str, *more: Any) -> Any:
        seen.events.append(("trace", name, split))
        return trace(self, name, artefact, sha256, split, *more)

    def spy_image(self: Dataset, index: int) -> Any:
        seen.events.append(("image", self.hashes[index], ""))
        return image(self, index)

    def spy_admit(*arguments: Any) -> Any:
        admission = admit(*arguments)
        seen.events.append(("settled", " ".join(one.name for one in admission.admitted), ""))
        return admission

    def spy_certify(*arguments: Any) -> Any:
        result = certify_all(*arguments)
        seen.events.append(("certified", "", ""))
        return result

    monkeypatch.setattr(Workbench, "trace", spy_trace)
    monkeypatch.setattr(Dataset, "image", spy_image)
    monkeypatch.setattr(settling, "admit", spy_admit)
    monkeypatch.setattr(certify, "certify_all", spy_certify)
    return seen


def test_the_certification_split_stays_unseen_until_the_order_is_settled(task, tmp_path, watch):
    fitted = fit(task.model, task.data, budget=BUDGET, cache=tmp_path / "cache")
    assert watch.problems(fitted) == []
    decoded = {what for kind, what, _ in watch.events if kind == "image"}
    assert decoded == {image for split in fitted.evidence.splits for image in split.images}


def test_a_fit_that_certifies_where_it_chose_is_caught(task, warm, watch, monkeypatch):
    monkeypatch.setattr(certify, "traces", lambda bench, one, split: candidates.traces(bench, one, "selection"))
    monkeypatch.setattr(certify, "split_labels", lambda bench, split: candidates.split_labels(bench, "selection"))
    fitted = fit(task.model, task.data, budget=BUDGET, cache=warm)
    assert "int8 was certified without its certification images" in watch.problems(fitted)
    with pytest.raises(BundleError, match="its evidence says"):
        recheck(fitted.manifest, fitted.evidence)


def test_a_fit_that_peeks_before_it_chooses_is_caught(task, warm, watch, monkeypatch):
    honest = candidates.score

    def peeking(bench: Any, artefact: Any, *more: Any) -> Any:
        candidates.traces(bench, artefact, "certification")
        return honest(bench, artefact, *more)

    monkeypatch.setattr(candidates, "score", peeking)
    fitted = fit(task.model, task.data, budget=BUDGET, cache=warm)
    assert "trace int8 before the order was settled" in watch.problems(fitted)
