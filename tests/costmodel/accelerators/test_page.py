"""The page's table of accelerators is what the benchmark prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_pages_figures_are_the_benchmarks() -> None:
    command = [sys.executable, "predict_accelerators.py"]
    done = subprocess.run(command, cwd=ROOT / "benchmarks", capture_output=True, text=True, check=True)
    printed = done.stdout.rstrip().splitlines()
    page = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
    assert len(printed) > 5
    assert [line for line in printed if line.rstrip() not in page] == []
