"""ONNX Runtime's builds collect usage and send it: never through us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoestring.runtimes.ort import NO_TELEMETRY

ROOT = Path(__file__).parents[2]
OURS = f"""
import sys; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from shoestring.runtimes import registry
registry.get("onnxruntime").load(Path({str(ROOT / "examples" / "cifar10_main.onnx")!r}), 1)
"""
PLAIN = "import onnxruntime"


def left_behind(code: str, folder: Path) -> list[str]:
    """What a fresh interpreter leaves in its directory for temporary files."""
    folder.mkdir()
    clean = {name: value for name, value in os.environ.items() if name != NO_TELEMETRY}
    subprocess.run([sys.executable, "-c", code], check=True, env={**clean, "TMPDIR": str(folder)})
    return sorted(path.name for path in folder.iterdir())


def test_no_telemetry_session_is_opened(tmp_path: Path) -> None:
    assert left_behind(OURS, tmp_path / "ours") == []


def test_without_our_care_one_would_be(tmp_path: Path) -> None:
    if ".ses" not in left_behind(PLAIN, tmp_path / "plain"):
        pytest.skip("this build of ONNX Runtime opens no telemetry session")
