"""Rows made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shoestring.domain.features import Features
from shoestring.domain.measured import Row

PLAIN = Row(
    "box",
    "net",
    "224x224x3",
    "engine",
    "npu",
    "int8",
    None,
    1.0,
    None,
    None,
    None,
    None,
    "1",
    "2026-01-01",
    "",
    "",
    "a test",
)


def row(**changes: Any) -> Row:
    return replace(PLAIN, **changes)


def network(macs: float, params: float = 1e6, **changes: Any) -> Features:
    plain = Features("asked", "224x224x3", int(macs), 0, 0, 0, 0, 0, 0, int(params), 0, 1, 1)
    return replace(plain, **changes)
