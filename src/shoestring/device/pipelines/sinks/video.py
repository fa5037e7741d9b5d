"""Annotated video through OpenCV (extra `video`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import StorageError, UsageError
from shoestring.device.pipelines.draw import draw
from shoestring.device.pipelines.prepare import opencv

if TYPE_CHECKING:
    from types import TracebackType

    from shoestring.device.pipelines.nouns import Frame, Result

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


class VideoSink:
    """Writes frames with their boxes into a video file. Use it in a `with` block.

    The first frame sets the size; another size, which a camera may send after it was reopened, is scaled to it.

    Args:
        path: ends in `.mp4` (MPEG-4) or `.avi` (Motion JPEG); is written over.
        rate: frames a second of the file.

    Raises:
        UsageError: another ending, or a rate that is not above 0 and at most 240.
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self, path: Path | str, rate: float) -> None:
        self._path, self._rate = Path(path), rate
        if self._path.suffix.lower() not in CODECS:
            raise UsageError(f"{path} does not end in {' or '.join(CODECS)}")
        if not 0 < rate <= 240:
            raise UsageError(f"{rate} frames a second are outside 0..240")
        self._cv2 = opencv()
        self._writer: Any = None
        self._size = (0, 0)

    def write(self, frame: Frame, result: Result) -> None:
        """One frame. Raises StorageError when the file cannot be written."""
        cv2 = self._cv2
        picture = draw(frame.pixels, result.boxes, result.answer)
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), codec, self._rate, self._size)
        if not self._writer.isOpened():
            raise StorageError(f"{self._path} cannot be written", hint="check the folder and the disk")
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if self._writer is not None:
            self._writer.release()

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
