"""From what a user names to a source."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.addresses import without_password
from shoestring.base.errors import DataError, UsageError
from shoestring.device.files import SUFFIXES
from shoestring.device.pipelines.prepare import opencv
from shoestring.device.pipelines.sources.images import Images
from shoestring.device.pipelines.sources.newest import Newest
from shoestring.device.pipelines.sources.opencv import (
    CameraCapture,
    FileCapture,
    StreamCapture,
    VideoFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.device.pipelines.sources.protocol import Source
    from shoestring.domain.preprocess import Preprocess

_STREAMS = ("rtsp://", "rtsps://", "http://", "https://")
VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg")


def open_source(
    names: Sequence[str],
    spec: Preprocess | None = None,
    *,
    realtime: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Source:
    """The source that a user names.

    Args:
        names: image files and folders; or a single video file, camera (`/dev/video0`, or its number) or address
            (`rtsp://...`, `http://...`).
        spec: what the model wants, so that nothing is decoded larger than it needs; None decodes all.
        realtime: whether a video file is played as a camera would show it, frames dropped; cameras always do.
        clock: monotonic, s.

    Raises:
        UsageError: several names of which one is no image, or `realtime` for images.
        DataError: it does not exist, or cannot be opened.
        MissingExtraError: a video or camera without OpenCV.
    """
    if not names:
        raise UsageError("no source was named", hint="name images, a video file, a camera or an address")
    kinds = {kind_of(name) for name in names}
    if len(names) > 1 and kinds != {"images"}:
        raise UsageError(f"{len(names)} sources were named, and not all are images", hint="name one video or camera")
    (kind,) = kinds
    if kind == "images":
        if realtime:
            raise UsageError("images have no rate to be played at", hint="leave the real time out")
        return Images(names, spec, clock=clock)
    opencv()
    name = names[0]
    if kind == "stream":
        return Newest(lambda: StreamCapture(name, clock=clock), without_password(name), clock=clock)
    if kind == "camera":
        device = f"/dev/video{name}" if name.isdecimal() else name
        if not Path(device).exists():
            raise DataError(f"there is no camera {device}", hint="`ls /dev/video*` names those there are")
        return Newest(lambda: CameraCapture(device, spec, clock=clock), device, clock=clock)
    if realtime:
        FileCapture(name, clock=clock, paced=True).close()  # a file that cannot be played is said at once
        return Newest(lambda: FileCapture(name, clock=clock, paced=True), name, again=False, clock=clock)
    return VideoFile(name, clock=clock)


def kind_of(name: str) -> str:
    """What a name means: `stream`, `camera`, `video` or `images`."""
    if name.lower().startswith(_STREAMS):
        return "stream"
    path = Path(name)
    if re.fullmatch(r"\d{1,3}|/dev/video\d{1,3}|/dev/v4l/.+", name) and not path.is_file():
        return "camera"
    suffix = path.suffix.lower()
    return "video" if suffix in VIDEO_SUFFIXES and suffix not in SUFFIXES and not path.is_dir() else "images"
