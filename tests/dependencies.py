"""What the install and each extra bring, as far as it is installed here, and under which licences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
BASE = "base"
EXTRAS = (BASE, *PROJECT["optional-dependencies"])
DEVICE = (BASE, "ort", "litert", "openvino", "ncnn", "text", "llm", "video", "serve", "mqtt", "trust", "agent", "age")
"""Extras that a device may have."""

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU"),
        *("PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "Apache-2.0 WITH LLVM-exception"),
    }
)
"""Permissive: who ships a device with it owes a notice, no source."""

WEAK = {
    "certifi": ("MPL-2.0", "a list of certificates, as a file; the licence is of that file alone"),
    "tqdm": ("MPL-2.0", "comes with the workshop's converters; the licence is of its own files alone"),
    "psycopg": (
        "LGPL-3.0-only",
        "only in the extra `postgres`, of the collector; imported, not changed, not in a bundle",
    ),
    "psycopg-binary": ("LGPL-3.0-only", "the same project's compiled half"),
}
"""Weak copyleft, each by name and with the reason why it may stay. None of them is in what a device needs."""

EVIDENCE = {
    "bsdiff4": ("BSD-2-Clause", "Redistribution and use in source and binary forms"),
    "jinja2": ("BSD-3-Clause", "Neither the name of the copyright holder"),
    "mpmath": ("BSD-3-Clause", "Neither the name of the copyright holder"),
    "ncnn": ("BSD-3-Clause", "Neither the name of"),
    "pyrage": ("MIT", "Permission is hereby granted, free of charge"),
    "scipy": ("BSD-3-Clause", "Neither the name of the copyright holder"),
    "sympy": ("BSD-3-Clause", "Neither the name of"),
}
"""Packages whose metadata name no licence, or a family: which it is, and words of the licence that they ship."""

_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
}
"""Words of classifiers and of the field `License`, and the SPDX name of what they say."""


@dataclass(frozen=True)
class Found:
    """What an extra brings.

    Args:
        requirements: our own, of the extra itself.
        installed: everything below them that is installed, by name.
        missing: names that are not installed here.
    """

    requirements: tuple[Requirement, ...]
    installed: dict[str, Distribution]
    missing: frozenset[str]


def brings(extra: str) -> Found:
    """Requirements of an extra of this project and everything below them."""
    own = tuple(_own(extra))
    installed: dict[str, Distribution] = {}
    missing: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    left = list(own)
    while left:
        wanted = left.pop()
        name = plain(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        installed[name] = found
        left += [one for one in map(Requirement, found.requires or ()) if _applies(one, wanted.extras)]
    return Found(own, installed, frozenset(missing))


def licence_of(name: str, found: Distribution) -> str | None:
    """SPDX expression of a package's licence; None where its metadata do not tell."""
    expression = found.metadata.get("License-Expression")
    if expression:
        return str(expression)
    if name in EVIDENCE:
        return EVIDENCE[name][0]
    classifiers = [str(line).split(" :: ")[-1] for line in found.metadata.get_all("Classifier") or ()
                   if str(line).startswith("License")]  # fmt: skip
    told = [*classifiers, str(found.metadata.get("License") or "").strip().split("\n")[0]]
    named = [_NAMES.get(words, words) for words in told]
    known = ALLOWED | set(_NAMES.values())
    expressions = [words for words in named if words and set(terms(words)) <= known]
    return expressions[0] if expressions else None


def terms(expression: str) -> list[str]:
    """`A AND (B OR C)` -> A, B, C; `X WITH Y` stays one."""
    return [term.strip(" ()") for term in re.split(r"\s(?:AND|OR)\s", expression)]


def refused(name: str, expression: str | None) -> str | None:
    """Why a package may not stay, in words; None where it may.

    Of `A OR B` one suffices, of `A AND B` both are needed. Brackets are not in use among our packages, and refused.
    """
    if expression is None:
        return f"{name}: its metadata name no licence that we know"
    if "(" in expression:
        return f"{name}: {expression}, which is not read"
    for part in expression.split(" AND "):
        choices = {choice.strip() for choice in part.split(" OR ")}
        weak = {WEAK[name][0]} if name in WEAK else set()
        if not choices & (ALLOWED | weak):
            return f"{name}: {expression}"
    return None


def licence_text(found: Distribution) -> str:
    """Every licence file that a package ships, blanks made single."""
    files = [file for file in found.files or () if re.search(r"LICEN[CS]E|COPYING", file.name, re.I)]
    return " ".join(" ".join(str(file.locate().read_text(errors="replace")).split()) for file in files)  # type: ignore[attr-defined]


def plain(name: str) -> str:
    """Names as PyPI compares them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _own(extra: str) -> Iterator[Requirement]:
    listed = PROJECT["dependencies"] if extra == BASE else PROJECT["optional-dependencies"][extra]
    for one in map(Requirement, listed):
        if plain(one.name) == "shoestring":
            for inner in sorted(one.extras):
                yield from _own(inner)
        else:
            yield one


def _applies(one: Requirement, extras: Iterable[str]) -> bool:
    return one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (*extras, ""))
