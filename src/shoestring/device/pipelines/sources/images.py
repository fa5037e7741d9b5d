"""Images and folders of them, as fast as they are taken."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.device.files import expand, read_bytes
from shoestring.device.pipelines.sources.jpegs import encoded_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from shoestring.device.pipelines.nouns import Frame
    from shoestring.device.pipelines.sources.protocol import Stale
    from shoestring.domain.preprocess import Preprocess


class Images:
    """A source of image files.

    Args:
        paths: files, and folders that are searched for images.
        spec: what the model wants: JPEG is decoded no larger than that needs; None decodes all pixels.
        clock: monotonic, s.

    Raises:
        DataError: as `device.files.expand`.
    """

    live = False
    rate: float | None = None
    dropped = 0

    def __init__(
        self,
        paths: Iterable[Path | str],
        spec: Preprocess | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = expand(paths)
        self._spec, self._clock = spec, clock
        self._closed = False

    def __iter__(self) -> Iterator[Frame | Stale]:
        for number, path in enumerate(self._paths):
            if self._closed:
                return
            yield encoded_frame(read_bytes(path), number, self._clock(), str(path), self._spec)

    def close(self) -> None:
        self._closed = True
