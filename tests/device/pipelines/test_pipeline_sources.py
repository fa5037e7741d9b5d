"""Sources: images, folders and video files give every frame; names are told apart; sizes stay as small as they may."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from shoestring.base.addresses import without_password
from shoestring.base.errors import DataError, MissingExtraError, UsageError
from shoestring.device.pipelines import prepare as preparing
from shoestring.device.pipelines.nouns import Frame
from shoestring.device.pipelines.sources import open_source
from shoestring.device.pipelines.sources import opencv as through_opencv
from shoestring.device.pipelines.sources.images import Images
from shoestring.device.pipelines.sources.jpegs import encoded_frame, needed
from shoestring.device.pipelines.sources.lazy import LazyFrame
from shoestring.device.pipelines.sources.newest import Newest
from shoestring.device.pipelines.sources.opencv import CameraCapture, VideoFile, camera_size
from shoestring.domain.preprocess import Preprocess

SPEC = Preprocess(104, 104, "letterbox")
cv2 = pytest.importorskip("cv2")


def shade(number: int) -> int:
    return 20 + 20 * number


def film(path, count: int = 8, rate: float = 25.0, codec: str = "MJPG"):
    """A video whose frames are of one grey each; its left half is bluer."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (64, 48))
    for number in range(count):
        picture = np.full((48, 64, 3), shade(number), np.uint8)
        picture[:, :32, 0] += 30  # OpenCV's first channel is blue
        writer.write(picture)
    writer.release()
    return path


def jpeg(width: int = 800, height: int = 600) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (200, 40, 90)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(("name", "codec"), [("film.avi", "MJPG"), ("film.mp4", "mp4v")])
def test_a_video_file_gives_every_frame_in_order_and_in_rgb(tmp_path, name: str, codec: str) -> None:
    source = open_source([str(film(tmp_path / name, codec=codec))])
    frames = list(source)
    assert [frame.number for frame in frames] == list(range(8))
    assert not source.live and source.rate == pytest.approx(25) and source.dropped == 0
    for frame in frames:  # also long after the next one was read
        assert frame.size == (64, 48) and frame.pixels.shape == (48, 64, 3)
        assert frame.pixels[24, 48].astype(int) == pytest.approx([shade(frame.number)] * 3, abs=6)
        red, _, blue = frame.pixels[24, 10].astype(int)
        assert blue > red + 15
    source.close()
    source.close()


def test_a_video_in_real_time_comes_at_its_own_pace_and_ends(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(through_opencv.time, "sleep", slept.append)
    capture = through_opencv.FileCapture(film(tmp_path / "film.avi"), clock=lambda: 50.0, paced=True)
    frames = [capture.read(number) for number in range(9)]
    assert frames[-1] is None and slept == pytest.approx([number / 25 for number in range(9)])
    capture.close()
    monkeypatch.undo()
    source = open_source([str(film(tmp_path / "film.avi", rate=100.0))], realtime=True)
    numbers = [frame.number for frame in source if isinstance(frame, Frame)]
    assert source.live and numbers == sorted(set(numbers)) and len(numbers) + source.dropped == 8
    source.close()


def test_a_folder_gives_its_images_with_their_names_and_true_sizes(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    Image.new("RGB", (30, 20), "red").save(tmp_path / "b.png")
    first, second = Images([tmp_path], SPEC)
    assert (first.name, first.size, first.number) == (str(tmp_path / "a.jpg"), (800, 600), 0)
    assert first.pixels.shape == (150, 200, 3)  # a quarter still holds the 104 pixels that the model takes
    assert (second.name, second.size, second.pixels.shape) == (str(tmp_path / "b.png"), (30, 20), (20, 30, 3))
    (whole, _) = Images([tmp_path])
    assert whole.pixels.shape == (600, 800, 3)


def test_a_jpeg_that_nobody_looks_at_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(
        "shoestring.device.pipelines.sources.jpegs.decode",
        lambda data, name, need: decoded.append(need) or Image.new("RGB", (1, 1)),
    )
    frame = encoded_frame(jpeg(), 7, 1.5, "x", SPEC)
    assert (frame.number, frame.at_s, frame.size, decoded) == (7, 1.5, (800, 600), [])
    assert frame.pixels is frame.pixels and decoded == [(104, 78)]


def test_a_lazy_frame_is_a_frame_with_the_same_fields() -> None:
    made = []

    def decode() -> np.ndarray:
        made.append(1)
        return np.zeros((2, 3, 3), np.uint8)

    frame = LazyFrame(1, 2.0, (3, 2), "n", decode)
    assert isinstance(frame, Frame) and (frame.number, frame.at_s, frame.size, frame.name) == (1, 2.0, (3, 2), "n")
    assert not made and frame.pixels.shape == (2, 3, 3) and frame.pixels is frame.pixels and made == [1]


@pytest.mark.parametrize(
    ("spec", "size", "wanted"),
    [
        (SPEC, (800, 600), (104, 78)),
        (Preprocess(104, 104), (800, 600), (104, 104)),
        (Preprocess(104, 104, "shorter-side", 120), (800, 600), (160, 120)),
        (Preprocess(104, 104, "none"), (104, 104), None),
    ],
)
def test_what_a_model_needs_of_a_picture(spec: Preprocess, size: tuple[int, int], wanted: object) -> None:
    assert needed(size, spec) == wanted


@pytest.mark.parametrize(
    ("side", "size"), [(224, (320, 240)), (416, (640, 480)), (640, (1280, 720)), (1200, (1920, 1080))]
)
def test_a_camera_is_asked_for_the_least_size_that_holds_the_input(side: int, size: tuple[int, int]) -> None:
    assert camera_size(Preprocess(side, side)) == size
    assert camera_size(None) == (1920, 1080)


class FakeCapture:
    """OpenCV's capture, with a camera behind it that may or may not send Motion JPEG."""

    def __init__(self, jpegs: bool) -> None:
        self.jpegs, self.asked, self.released = jpegs, {}, False

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        return self.jpegs or key not in (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_CONVERT_RGB)

    def get(self, key: int) -> float:
        if key == cv2.CAP_PROP_FOURCC:
            return float(cv2.VideoWriter.fourcc(*("MJPG" if self.jpegs else "YUYV")))
        return 30.0 if key == cv2.CAP_PROP_FPS else 0.0

    def read(self):
        if self.jpegs:
            return True, np.frombuffer(jpeg(640, 480), np.uint8)[None]
        return True, np.full((480, 640, 3), (90, 40, 200), np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize("jpegs", [True, False])
def test_a_camera_with_motion_jpeg_is_decoded_as_small_as_the_model_takes_it(
    monkeypatch: pytest.MonkeyPatch, jpegs: bool
) -> None:
    fake = FakeCapture(jpegs)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: fake)
    camera = CameraCapture("/dev/video0", SPEC, clock=lambda: 3.0)
    frame = camera.read(5)
    assert frame is not None and (frame.number, frame.at_s, frame.size) == (5, 3.0, (640, 480))
    assert frame.pixels.shape == ((120, 160, 3) if jpegs else (480, 640, 3))
    assert frame.pixels[0, 0].astype(int) == pytest.approx([200, 40, 90], abs=4)
    assert fake.asked[cv2.CAP_PROP_FRAME_WIDTH] == 320 and fake.asked[cv2.CAP_PROP_BUFFERSIZE] == 1
    camera.close()
    assert fake.released and camera.rate == 30.0


def test_a_torn_picture_is_passed_over_and_nothing_but_torn_ones_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCapture(jpegs=True)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: fake)
    camera = CameraCapture("/dev/video0", SPEC)
    whole = fake.read
    torn = [(True, np.zeros((1, 40), np.uint8))] * 3
    monkeypatch.setattr(fake, "read", lambda: torn.pop() if torn else whole())
    frame = camera.read(0)
    assert frame is not None and frame.size == (640, 480) and not torn
    monkeypatch.setattr(fake, "read", lambda: (True, np.zeros((1, 40), np.uint8)))
    with pytest.raises(DataError, match="broken pictures"):
        camera.read(1)


def test_a_password_is_in_no_message() -> None:
    assert without_password("rtsp://me:secret@cam.local:554/a?b=c") == "rtsp://cam.local:554/a?..."
    source = open_source(["rtsp://me:secret@127.0.0.1:9/none"])
    assert isinstance(source, Newest) and source.live and "secret" not in source._name
    source.close()


@pytest.mark.parametrize(
    ("names", "options", "error"),
    [
        ([], {}, UsageError),
        (["a.mp4", "b.mp4"], {}, UsageError),
        (["missing.mp4"], {}, DataError),
        (["missing.jpg"], {}, DataError),
        (["/dev/video99"], {}, DataError),
        (["99"], {}, DataError),
    ],
)
def test_what_cannot_be_a_source_is_refused_at_once(names, options, error) -> None:
    with pytest.raises(error):
        open_source(names, **options)


def test_files_that_are_no_video_are_refused(tmp_path) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(DataError, match="cannot be opened"):
        open_source([str(tmp_path / "text.mp4")])
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with pytest.raises(UsageError):
        open_source([str(tmp_path)], realtime=True)
    with pytest.raises(DataError):
        list(open_source([str(film(tmp_path / "film.avi").with_suffix(".jpg"))]))


def test_opencv_is_not_imported_before_it_is_needed() -> None:
    rooms = "shoestring.device.pipelines.sources, shoestring.device.pipelines.sinks"
    words = f"import sys, {rooms}; print('cv2' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=60)
    assert child.stdout.strip() == "False"


def test_without_opencv_the_extra_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for call in (preparing.opencv, lambda: VideoFile(tmp_path / "x.avi"), lambda: open_source(["rtsp://host/x"])):
        with pytest.raises(MissingExtraError) as caught:
            call()
        assert caught.value.extra == "video"
