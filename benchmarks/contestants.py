"""Who takes part: the rungs of our own ladder, and the peers, each made in a process of its own and timed."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peers_inputs import store_pixels
from shoestring.base import disk
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ShoestringError, UsageError
from shoestring.chips.host import this_machine
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.fitting import fit
from shoestring.inputs.spec import dump_preprocess

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.domain.model import TensorSpec
    from shoestring.domain.preprocess import Preprocess
    from shoestring.evaluate.dataset import Dataset
    from shoestring.evaluate.splits import Splits

REFERENCE = "ONNX Runtime fp32"
PEERS = {
    "ONNX Runtime, defaults": "peers_ort:defaults",
    "ONNX Runtime, documented": "peers_ort:documented",
    "NNCF, default": "peers_nncf:default",
    "NNCF, accuracy control": "peers_nncf:accuracy_control",
    "Olive, static": "peers_olive:static",
}
NATIVE = "native"
PEER_SECONDS = 3600.0
NO_TELEMETRY = {"NNCF_CI": "1"}  # the switch by which NNCF sends nothing to its makers


@dataclass(frozen=True)
class Contestant:
    """A model file that somebody made, or why there is none.

    Args:
        name: unique.
        path: of the model, or None.
        seconds: it took to make, imports left out, or None.
        note: how it was made, or the reason of the failure in one line.
        chosen: whether our fit chose it.
        runtime: that runs it.
    """

    name: str
    path: Path | None
    seconds: float | None
    note: str
    chosen: bool = False
    runtime: str = HOME_RUNTIME


@dataclass(frozen=True)
class Ground:
    """What all contestants share. `input` is the one of the user's file."""

    model: Path
    input: TensorSpec
    data: Path
    dataset: Dataset
    splits: Splits
    spec: Preprocess
    budget: Budget
    peer_max_drop: float
    seed: int
    limit: int | None

    def labels(self, split: str) -> list[int] | None:
        """Of a split in its order, or None."""
        labels = self.dataset.labels
        return None if labels is None else [labels[index] for index in getattr(self.splits, split)]


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def ours(ground: Ground, scratch: Path) -> list[Contestant]:
    """Every rung of our fit with native programs, from an empty cache, then of one without, which shares its steps."""
    found = _ours(ground, scratch, (HOME_RUNTIME, NATIVE), "Shoestring", "seconds of the whole fit")
    again = "native left out; the fit shares the steps of the one before, so its seconds say nothing"
    return found + _ours(ground, scratch, (HOME_RUNTIME,), "Shoestring without native:", again)


def _ours(ground: Ground, scratch: Path, runtimes: tuple[str, ...], who: str, words: str) -> list[Contestant]:
    start = time.perf_counter()
    try:
        fitted = fit(
            ground.model,
            ground.data,
            budget=ground.budget,
            preprocess=ground.spec,
            labels=ground.dataset.names,
            limit=ground.limit,
            seed=ground.seed,
            runtimes=runtimes,
            cache=scratch / "cache",
            progress=lambda what, done, total: say(f"  {what}") if done == 0 else None,
        )
    except ShoestringError as error:
        return [Contestant(who, None, time.perf_counter() - start, one_line(error))]
    seconds = time.perf_counter() - start
    certified = [ground.dataset.hashes[index] for index in ground.splits.certification]
    if list(fitted.evidence.split("certification").images) != certified:
        raise UsageError("the fit certified on other images than the benchmark judges on")
    made = []
    for rung in fitted.ladder.rungs:
        path = fitted.blobs[rung.candidate.artefact_sha256]
        made.append(
            Contestant(
                f"{who} {rung.name}",
                Path(path),
                seconds if NATIVE in runtimes else None,
                f"{rung.candidate.recipe.why}; {words}",
                rung.name == fitted.ladder.chosen,
                rung.candidate.runtime,
            )
        )
    return made


def peers(ground: Ground, scratch: Path, seconds: float) -> list[Contestant]:
    """Every peer; one that fails, or takes longer than `seconds`, keeps its place, with the reason."""
    disk.write_text(scratch / "preprocess.toml", dump_preprocess(ground.spec))
    request: dict[str, Any] = {
        "model": str(ground.model),
        "preprocess": str(scratch / "preprocess.toml"),
        "input": ground.input.name,
        "batch": ground.input.shape[0],
        "labels": ground.labels("selection"),
        "max_drop": ground.peer_max_drop,
        "isa": list(this_machine().isa),
    }
    for split in ("calibration", "selection"):
        request[split] = str(scratch / f"{split}.npy")
        store_pixels(Path(request[split]), ground.dataset, getattr(ground.splits, split), ground.spec)
    made = []
    for number, (name, target) in enumerate(PEERS.items()):
        say(f"making {name}")
        out = scratch / f"peer{number}.onnx"
        try:
            answer = run_in_child(target, request | {"out": str(out)}, ChildLimits(seconds=seconds), env=NO_TELEMETRY)
            made.append(Contestant(name, out, answer["seconds"], answer["note"]))
        except ShoestringError as error:
            made.append(Contestant(name, None, None, one_line(error)))
    return made


def one_line(error: ShoestringError) -> str:
    """The message without its hint."""
    return " ".join(error.message.split())
