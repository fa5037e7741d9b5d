"""The page's table is what the benchmark prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_pages_figures_are_the_benchmarks() -> None:
    done = subprocess.run(
        [sys.executable, "predict.py"], cwd=ROOT / "benchmarks", capture_output=True, text=True, check=True
    )
    printed = done.stdout.rstrip().splitlines()
    page = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
    missing = [line for line in printed if line.rstrip() not in page]
    assert len(printed) > 5
    assert missing == []
