"""A frame that is decoded when somebody looks at it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from shoestring.device.pipelines.nouns import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.inputs.image import Pixels


class LazyFrame(Frame):
    """A frame whose pixels are worked out on their first use, so that one that nobody looks at costs nothing.

    Args:
        number, at_s, size, name: as in `Frame`.
        decode: gives the pixels; what it raises leaves `pixels`.
    """

    def __init__(
        self, number: int, at_s: float, size: tuple[int, int], name: str, decode: Callable[[], Pixels]
    ) -> None:
        # Not Frame's own __init__, which would ask for the pixels; the fields of a frozen class are set like this.
        for field, value in {"number": number, "at_s": at_s, "size": size, "name": name, "_decode": decode}.items():
            object.__setattr__(self, field, value)

    _decode: Callable[[], Pixels]

    @cached_property
    def pixels(self) -> Pixels:
        return self._decode()
