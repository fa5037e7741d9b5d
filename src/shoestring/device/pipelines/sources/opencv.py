"""Video files and cameras through OpenCV (extra `video`)."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.addresses import without_password
from shoestring.base.errors import DataError
from shoestring.device.pipelines.nouns import Frame
from shoestring.device.pipelines.prepare import opencv
from shoestring.device.pipelines.sources.jpegs import encoded_frame
from shoestring.device.pipelines.sources.lazy import LazyFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoestring.device.pipelines.sources.protocol import Stale
    from shoestring.domain.preprocess import Preprocess

OPEN_MS, READ_MS = 5000, 5000
"""Time for a network camera to answer, and to give its next frame; ms."""
_SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))
"""What nearly every camera offers."""
_MOST_TORN = 30  # a second of a usual camera
_MOST_RATE = 1000.0  # containers without a rate say nonsense such as 90,000


class VideoFile:
    """A video file, every frame of it, as fast as the frames are taken.

    Args:
        path: of the file.
        clock: monotonic, s.

    Raises:
        DataError: it cannot be opened as a video.
        MissingExtraError: OpenCV is not installed.
    """

    live = False
    dropped = 0

    def __init__(self, path: Path | str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._capture = FileCapture(path, clock=clock, paced=False)
        self.rate = self._capture.rate

    def __iter__(self) -> Iterator[Frame | Stale]:
        number = 0
        while (frame := self._capture.read(number)) is not None:
            yield frame
            number += 1

    def close(self) -> None:
        self._capture.close()


class FileCapture:
    """A video file as a connection.

    Args:
        path: of the file.
        clock: monotonic, s.
        paced: whether a frame comes no earlier than its time, as from a camera.

    Raises:
        DataError, MissingExtraError: as `VideoFile`.
    """

    def __init__(self, path: Path | str, *, clock: Callable[[], float] = time.monotonic, paced: bool) -> None:
        cv2 = opencv()
        if not Path(path).is_file():
            raise DataError(f"{path} is not a file", hint="check the path")
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        self._name, self._clock, self._paced, self._start_s = str(path), clock, paced, clock()
        if not self._capture.isOpened():
            raise DataError(f"{path} cannot be opened as a video", hint="OpenCV reads what FFmpeg reads")
        self.rate = _rate(self._capture, cv2)
        if paced and self.rate is None:
            self.close()
            raise DataError(f"{path} does not say its frames a second", hint="play it as fast as possible")

    def read(self, number: int) -> Frame | None:
        if self._paced and self.rate is not None:
            time.sleep(max(0.0, self._start_s + number / self.rate - self._clock()))
        whole, picture = self._capture.read()
        if not whole and number == 0:
            raise DataError(f"{self._name} holds no frame that can be decoded", hint="check that the file is whole")
        return _bgr_frame(picture, number, self._clock(), self._name) if whole else None

    def close(self) -> None:
        self._capture.release()


class StreamCapture:
    """A network camera (RTSP, or what else FFmpeg takes), in the size that it sends.

    Args:
        url: of the stream; a password in it is in no message.
        clock: monotonic, s.

    Raises:
        DataError: it does not answer within OPEN_MS.
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        cv2 = opencv()
        # With its debugging on, the library writes every address that it opens, password included, to stderr.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
        self._name, self._clock = without_password(url), clock
        if not self._capture.isOpened():
            raise DataError(f"{self._name} does not answer", hint="check the address, the network and the password")
        self.rate = _rate(self._capture, cv2)

    def read(self, number: int) -> Frame | None:
        whole, picture = self._capture.read()
        return _bgr_frame(picture, number, self._clock(), "") if whole else None

    def close(self) -> None:
        self._capture.release()


class CameraCapture:
    """A camera of Video4Linux, asked for the least usual size that holds the model's input.

    Where the camera sends Motion JPEG, its pictures are taken as they are, and decoded only when somebody looks, no
    larger than the model needs.

    Args:
        device: `/dev/videoN`.
        spec: what the model wants; None asks for the largest usual size.
        clock: monotonic, s.

    Raises:
        DataError: it cannot be opened.
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(
        self, device: str, spec: Preprocess | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        cv2 = opencv()
        self._capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        self._name, self._spec, self._clock = device, spec, clock
        if not self._capture.isOpened():
            raise DataError(f"the camera {device} cannot be opened", hint="check its cable and your group `video`")
        width, height = camera_size(spec)
        jpeg = cv2.VideoWriter.fourcc(*"MJPG")
        for key, value in (
            (cv2.CAP_PROP_FOURCC, jpeg),
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            self._capture.set(key, value)  # a camera that cannot, stays as it is
        self._raw = int(self._capture.get(cv2.CAP_PROP_FOURCC)) == jpeg and bool(
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        )
        self.rate = _rate(self._capture, cv2)

    def read(self, number: int) -> Frame | None:
        for _ in range(_MOST_TORN):
            whole, picture = self._capture.read()
            if not whole:
                return None
            if not self._raw:
                return _bgr_frame(picture, number, self._clock(), "")
            with contextlib.suppress(DataError):  # a picture torn on the cable; the next one is a moment away
                return encoded_frame(picture.tobytes(), number, self._clock(), "", self._spec)
        raise DataError(f"the camera {self._name} sent {_MOST_TORN} broken pictures in turn", hint="check its cable")

    def close(self) -> None:
        self._capture.release()


def camera_size(spec: Preprocess | None) -> tuple[int, int]:
    """(width, height) to ask a camera for: the least usual size that holds the model's input, or the largest."""
    holds = (size for size in _SIZES if spec is not None and size[0] >= spec.width and size[1] >= spec.height)
    return next(holds, _SIZES[-1])


def _rate(capture: Any, cv2: Any) -> float | None:
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if math.isfinite(rate) and 0 < rate <= _MOST_RATE else None


def _bgr_frame(picture: Any, number: int, at_s: float, name: str) -> Frame:
    """A frame of OpenCV's picture; its colours are put in order when somebody looks."""
    cv2 = opencv()
    height, width = picture.shape[:2]
    return LazyFrame(number, at_s, (width, height), name, lambda: cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
