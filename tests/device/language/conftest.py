"""Servers of models that write, in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving_writers import WriterServer


@pytest.fixture
def write_server() -> Iterator[Callable[..., WriterServer]]:
    """Starts servers, and ends them."""
    started: list[WriterServer] = []

    def start(settings: dict[str, Any] | None = None, *flags: str) -> WriterServer:
        started.append(WriterServer(settings, *flags))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()
