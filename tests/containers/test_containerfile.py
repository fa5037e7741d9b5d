"""The recipe of the container: read, since building one takes a network and a daemon."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from shoestring.cli.main import build_parser

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "containers/Containerfile").read_text()
Steps = list[tuple[str, str]]


def steps(text: str) -> Steps:
    """(instruction, the rest) of each line, continued lines joined and comments left out."""
    whole = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line.strip()]


def copied(found: Steps) -> None:
    for word, rest in found:
        if word == "COPY" and "--from=" not in rest:
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), f"{source} is not there to be copied"


def pinned(found: Steps) -> None:
    bases = [rest.split()[0] for word, rest in found if word == "FROM"]
    assert bases and all(re.search(r":\d+\.\d+\.\d+-", base) for base in bases)


def nobody(found: Steps) -> None:
    last = max(place for place, (word, _) in enumerate(found) if word == "FROM")
    users = [rest for word, rest in found[last:] if word == "USER"]
    assert users and int(users[-1].split(":")[0]) >= 1000


def extras(found: Steps) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.search(r"'\.\[([a-z,]+)\]'", " ".join(rest for word, rest in found if word == "RUN"))
    assert asked is not None and set(asked[1].split(",")) <= set(known)


def words(found: Steps) -> None:
    (command,) = [json.loads(rest) for word, rest in found if word == "CMD"]
    arguments = build_parser("serve").parse_args(command)
    (health,) = [rest for word, rest in found if word == "HEALTHCHECK"]
    assert f"127.0.0.1:{arguments.port}/v2/health/ready" in health
    compile(json.loads(health.split("CMD", 1)[1])[2], "health", "exec")


CHECKS: dict[str, Callable[[Steps], None]] = {
    one.__name__: one for one in (copied, pinned, nobody, extras, words)
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_the_recipe(check):
    CHECKS[check](steps(TEXT))


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        ("copied", "COPY src src", "COPY sources src"),
        ("pinned", "python:3.13.5-slim-bookworm", "python:latest"),
        ("nobody", "USER 10001:10001\n", ""),
        ("nobody", "USER 10001:10001", "USER 0"),
        ("extras", "serve,mqtt", "serve,mqqt"),
        ("words", '"--port", "8400"', '"--port", "8401"'),
    ],
)
def test_a_broken_recipe_is_found(check, right, wrong):
    assert right in TEXT
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[check](steps(TEXT.replace(right, wrong)))
