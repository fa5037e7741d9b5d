"""What is on the disk counts in most of these tests, not when: the power cuts have a test of their own."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is asked for nothing."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
