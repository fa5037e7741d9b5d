"""Every dependency has a licence that we may ship, a least version, and no vulnerability that is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from dependencies import ALLOWED, BASE, DEVICE, EVIDENCE, EXTRAS, WEAK, brings, licence_of, licence_text, refused, terms
from proof_scale import SCALE

REQUIRED = "SHOESTRING_AUDIT"
"""Set to `required` where an advisory source must be reached: then a skip is a failure."""
CANARY = ("pillow", "9.0.0")
"""A release with published vulnerabilities (CVE-2022-24303 and others): an audit that finds none there sees nothing."""
GLIBC = 36
"""Minor version of the C library in Debian 12, which Raspberry Pi OS is: wheels for any older one run there."""
AARCH64 = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC + 1)))


@pytest.mark.parametrize("extra", EXTRAS)
def test_licences_are_permissive(extra: str) -> None:
    found = brings(extra)
    wrong = [words for name, one in sorted(found.installed.items()) if (words := refused(name, licence_of(name, one)))]
    assert wrong == []
    if found.missing:
        pytest.skip(f"NOT AUDITED, not installed here: {', '.join(sorted(found.missing))}")


def test_what_a_device_needs_owes_no_source_at_all() -> None:
    """No package of weak copyleft either. The runtimes of others (openvino, ncnn) bring two, by name."""
    for extra in (BASE, "ort", "video", "serve", "mqtt", "trust", "agent", "age", "fleet"):
        assert set(brings(extra).installed) & set(WEAK) == set(), extra


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("x", "AGPL-3.0-only"),
        ("x", "GPL-3.0-only"),
        ("x", "SSPL-1.0"),
        ("x", "LGPL-3.0-only"),
        ("x", "MIT AND GPL-2.0-only"),
        ("x", "MIT OR (GPL-2.0-only AND MIT)"),
        ("x", "Proprietary"),
        ("x", None),
        ("certifi", "LGPL-3.0-only"),
    ],
)
def test_other_licences_are_refused(name: str, expression: str | None) -> None:
    """The saboteur: a package that came in with one of these."""
    assert refused(name, expression) is not None


def test_a_choice_of_licences_needs_one_that_is_allowed() -> None:
    assert refused("x", "GPL-2.0-only OR MIT") is None
    assert refused("x", "EPL-2.0 OR BSD-3-Clause") is None
    assert terms("Apache-2.0 WITH LLVM-exception AND MIT") == ["Apache-2.0 WITH LLVM-exception", "MIT"]


def test_what_is_said_in_place_of_metadata_stands_in_the_licence_that_is_shipped() -> None:
    installed: dict[str, Distribution] = {}
    for extra in EXTRAS:
        installed |= brings(extra).installed
    for name, (licence, words) in EVIDENCE.items():
        assert licence in ALLOWED
        if name in installed:
            assert words in licence_text(installed[name]), name
    assert {name for name in EVIDENCE if name in installed}, "none of them is installed: nothing was held against it"


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_requirement_has_a_least_version_and_keeps_it(extra: str) -> None:
    found = brings(extra)
    for requirement in found.requirements:
        assert any(one.operator in (">=", "==", "~=") for one in requirement.specifier), requirement
        one = found.installed.get(requirement.name.lower())
        if one is not None:
            assert requirement.specifier.contains(one.version, prereleases=True), (requirement, one.version)


def audit(pins: list[tuple[str, str]], folder: Path, seconds: float) -> dict[str, list[str]] | None:
    """Vulnerabilities by package, from pip-audit; None where it could not ask about every one.

    pip-audit ends well when it has found nothing about a package it could not look up, so its word for that is read.
    """
    listed = folder / "pins.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in pins))
    command = [sys.executable, "-m", "pip_audit", "-r", listed, "--no-deps", "--disable-pip", "-f", "json"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off", "--timeout", "10"],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        told: Any = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    if len(told["dependencies"]) != len(pins) or any("skip_reason" in one for one in told["dependencies"]):
        return None
    return {one["name"]: [vuln["id"] for vuln in one["vulns"]] for one in told["dependencies"]}


def test_no_vulnerability_is_known(tmp_path: Path) -> None:
    """The canary comes first: who finds nothing there sees nothing, and says so instead of passing."""

    def blind(why: str) -> None:
        words = f"NOT AUDITED FOR VULNERABILITIES: {why}; run it where PyPI's advisories can be reached"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(words)
        pytest.skip(words)

    try:
        import pip_audit  # noqa: F401
    except ImportError:
        blind("pip-audit is not installed")
    if not (audit([CANARY], tmp_path, 60) or {}).get(CANARY[0]):
        blind(f"no source of advisories knows those of {'=='.join(CANARY)}")
    installed: dict[str, Distribution] = {}
    for extra in EXTRAS:
        installed |= brings(extra).installed
    # Builds for one kind of processor carry a local version, which advisories do not know.
    pins = [(name, one.version.partition("+")[0]) for name, one in sorted(installed.items())]
    found = audit(pins, tmp_path, 240)
    if found is None:
        blind("some packages could not be looked up")
    assert {name: ids for name, ids in (found or {}).items() if ids} == {}


def test_an_audit_that_cannot_look_up_a_package_is_no_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The saboteur: pip-audit itself, which says "no known vulnerabilities" of a package that it did not find."""

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        told = {"dependencies": [{"name": "a", "skip_reason": "not found"}], "fixes": []}
        return subprocess.CompletedProcess([], 0, json.dumps(told), "")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit([("a", "1")], tmp_path, 1) is None


@pytest.mark.skipif(SCALE < 2, reason="asks the package index about every package: part of make proof")
def test_a_device_of_aarch64_gets_a_wheel_of_everything(tmp_path: Path) -> None:
    installed: dict[str, Distribution] = {}
    for extra in DEVICE:
        installed |= brings(extra).installed
    pins = [f"{name}=={one.version}" for name, one in sorted(installed.items())]
    platforms = [word for platform in AARCH64 for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", *platforms]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*command, "--target", str(tmp_path / "none"), "--report", str(report), *pins],
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    files = [Path(one["download_info"]["url"]).name for one in json.loads(report.read_text())["install"]]
    assert len(files) == len(pins)
    assert all("aarch64" in name or name.endswith("-none-any.whl") for name in files), files
    print(f"{len(files)} packages of {', '.join(DEVICE)}: {sum('aarch64' in name for name in files)} built for aarch64")
