"""Pre-processing that does not match the model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from shoestring.diagnosis.examination import Examination, Trial
from shoestring.diagnosis.findings import Disease, Evidence, Finding, Item, Remark, Unexamined
from shoestring.evaluate.chance import MIN_DIVERSE, SAME_CLASS_SHARE, binomial_tail
from shoestring.inputs.spec import describe

LEAD_P = 0.01  # how rarely luck alone may give such a lead, where it is called a disease
LEAD_SHARE = 0.2  # of the most that so many images and classes can say; conventions that suit equally differ by less


def look(examined: Examination) -> Iterator[Item]:
    """The pre-processing in use beside the usual ones, and answers that are all the same."""
    trial = examined.trial
    if trial is None:
        yield Unexamined(examined.no_trial)
        return
    if trial.refusal is not None:
        yield from _no_usual_one(trial)
    if trial.given is not None and trial.best_spec is not None:
        yield from _beaten(trial)
    if trial.given is None and trial.best_spec is not None:
        yield Remark(f"no pre-processing was given; {trial.best} is assumed: {describe(trial.best_spec)}")
    yield from _same_answers(trial)


def _no_usual_one(trial: Trial) -> Iterator[Finding]:
    if trial.given is not None and trial.hits is None and trial.best is None:
        return
    yield Finding(
        "harms",
        f"the labels fit no usual pre-processing on {trial.images} images",
        (Evidence("input", str(trial.refusal), {"images": float(trial.images)}),),
        "state the pre-processing of the training in a preprocess.toml, and check the order of the class "
        "names (--labels)",
    )


def _beaten(trial: Trial) -> Iterator[Item]:
    if trial.best_spec is None or trial.given is None:
        return
    cure = (
        f"use the pre-processing of the training; the usual one that suits best is {trial.best}: "
        f"{describe(trial.best_spec)}"
    )
    if trial.hits is not None and trial.wins is not None:
        won, lost = trial.wins
        if won > lost and binomial_tail(won, won + lost, 0.5) <= LEAD_P:
            given, best = trial.hits
            figures = {"hits": float(given), "hits_of_best": float(best), "images": float(trial.images)}
            words = (
                f"{given} of {trial.images} images right as given ({describe(trial.given)}), {best} with {trial.best}"
            )
            summary = f"another usual pre-processing is right on {best - given} more of {trial.images} images"
            yield Finding("harms", summary, (Evidence("input", words, figures),), cure)
    elif trial.nats is not None and trial.nats[1] - trial.nats[0] >= LEAD_SHARE * _most_nats(trial):
        given_nats, best_nats = trial.nats
        figures = {"nats": given_nats, "nats_of_best": best_nats, "images": float(trial.images)}
        words = (
            f"answers as given ({describe(trial.given)}) say {given_nats:.2f} nats of the images, "
            f"{best_nats:.2f} with {trial.best}"
        )
        summary = (
            "the answers say far less of the images than under another usual pre-processing; there "
            "are no labels to decide"
        )
        yield Finding("may harm", summary, (Evidence("input", words, figures),), cure)


def _most_nats(trial: Trial) -> float:
    """Information of answers that are sure and all different, as far as images and classes go."""
    return math.log(max(2, min(trial.images, trial.classes)))


def _same_answers(trial: Trial) -> Iterator[Item]:
    if not trial.top1:
        return
    if len(trial.top1) < MIN_DIVERSE:
        yield Unexamined(
            f"whether answers are all the same: {len(trial.top1)} images are too few, {MIN_DIVERSE} are needed"
        )
        return
    label, count = Counter(trial.top1).most_common(1)[0]
    if count >= SAME_CLASS_SHARE * len(trial.top1):
        figures = {"same": float(count), "images": float(len(trial.top1))}
        words = f"class {label} for {count} of {len(trial.top1)} different images"
        yield Finding(
            "may harm",
            f"the model answers {words}",
            (Evidence("output", words, figures),),
            "check scale, mean, std and colour order against the training; if all images are of one class, add others",
        )


DISEASE = Disease(
    id="preprocessing",
    name="pre-processing that does not match",
    what="Nothing in a model file states how images become its input; a wrong scale, mean or colour order costs more "
    "accuracy than any compression.",
    needs="images of a classifier; labels to be sure",
    source="exact sign test of paired answers (McNemar 1947); without labels the information of the answers (Bridle, "
    "Heading and MacKay, NIPS 1991)",
    look=look,
)
