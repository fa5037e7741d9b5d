"""Cases of attacks as data: `cases/ATTACK-NN/case.toml`, read strictly and run step by step."""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repository_attacks import Scene
from repository_device import OUTCOMES, Device, held_to
from shoestring.base.errors import RepositoryError
from shoestring.trust.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ATTACKS = (
    "arbitrary install", "endless data", "extraneous dependency", "fast-forward", "freeze", "key compromise",
    "malicious mirror", "mix-and-match", "rollback", "wrong software", "delegation", "form", "damage",
)  # fmt: skip
"""The specification's list (section 1.5.2), then what attacks its means: delegations, the files' form, the disk."""
_POLL = {"do", "expect", "rule", "counter", "late_days", "trusted", "recovers", "serves", "same"}


@dataclass(frozen=True)
class Case:
    """One attack.

    Args:
        name: of its directory.
        attack: one of ATTACKS.
        attacker: what whoever attacks holds.
        reason: what would go wrong on a device that let it pass.
        steps: in order; `device` is a poll with what it must come to.
    """

    name: str
    attack: str
    attacker: str
    reason: str
    steps: tuple[dict[str, Any], ...]


def read_cases(folder: Path) -> list[Case]:
    """Every case below a directory; anything that is not of the vocabulary is an error."""
    cases = []
    for path in sorted(folder.glob("*/case.toml")):
        case = Case(
            name=path.parent.name, **{**(held := tomllib.loads(path.read_text())), "steps": tuple(held["steps"])}
        )
        assert case.attack in ATTACKS, case.name
        assert case.steps[-1]["do"] == "device", f"{case.name} ends without a poll"
        for step in case.steps:
            _check(case.name, step)
        cases.append(case)
    return cases


def run_case(case: Case, folder: Path, client: Callable[..., Repository] = Repository) -> list[str]:
    """What went otherwise than the case says; nothing is the good answer."""
    home = folder / "home"
    home.mkdir()
    scene = Scene(home / "store")
    device = Device(home, scene.workshop.root, client)
    wrong = []
    for number, step in enumerate(case.steps, 1):
        if step["do"] == "device":
            wrong += [f"step {number}: {words}" for words in held_to(device, scene, step)]
        else:
            getattr(scene, step["do"])(**{name: value for name, value in step.items() if name != "do"})
    return wrong


def _check(name: str, step: dict[str, Any]) -> None:
    do = step["do"]
    if do == "device":
        assert set(step) <= _POLL, (name, step)
        assert step["expect"] in OUTCOMES, (name, step)
        assert step.get("rule", "form") in RepositoryError.RULES, (name, step)
        return
    assert not do.startswith("_") and do not in ("now_s", "serve"), (name, step)
    inspect.signature(getattr(Scene, do)).bind(None, **{key: value for key, value in step.items() if key != "do"})
