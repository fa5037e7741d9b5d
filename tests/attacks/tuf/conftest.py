"""What is on the disk counts here, not when: the power cuts have tests of their own, and 5,000 fsyncs take a minute."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is asked for nothing."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
