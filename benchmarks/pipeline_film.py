"""The film of benchmarks/pipeline.py, what is in it, and its frames as JPEG files of 1080 lines.

`vtest.avi` of Debian's opencv-doc is the sequence S2.L1 of PETS 2009, view 1: 795 frames of 768 x 576. Boxes of its
people are read from a file in the format of MOTChallenge (frame from 1, number, left, top, width, height, confidence).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from average_precision import Thing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

CACHE = Path("~/.cache/shoestring/films").expanduser()
WIDTH, HEIGHT, RATE = 768, 576, 10.0
PERSON = 0
LEAST_CONFIDENCE = 0.9
WIDE = (72, 504)  # lines of the frame that a 16:9 picture shows
FRAMES, JUDGED, CALIBRATION_STEP = 795, 700, 3
QUIET_TURN, QUIET_MOVES, NOISE, SEED = 50, 20, 2.0, 7
LEAST_SEEN = 0.6  # of a person's height, for one who stands at the edge of that picture


def film() -> Path:
    """The film, fetched once."""
    path = CACHE / "vtest.avi"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["apt-get", "download", "-qq", "opencv-doc"], cwd=scratch, check=True)
            deb = next(Path(scratch).glob("opencv-doc*.deb"))
            subprocess.run(["dpkg", "-x", str(deb), str(Path(scratch) / "doc")], check=True)
            shutil.copy(next((Path(scratch) / "doc").rglob("vtest.avi")), path)
    return path


def people(path: Path) -> dict[int, list[Thing]]:
    """People by frame, from 0."""
    found: dict[int, list[Thing]] = {}
    for line in path.read_text().splitlines():
        frame, _, left, top, width, height, confidence = (float(value) for value in line.split(",")[:7])
        if confidence >= LEAST_CONFIDENCE:
            corners = (left / WIDTH, top / HEIGHT, (left + width) / WIDTH, (top + height) / HEIGHT)
            found.setdefault(int(frame) - 1, []).append(Thing(corners, PERSON))
    return found


def widened(everybody: dict[int, list[Thing]]) -> dict[int, list[Thing]]:
    """The same people in the pictures that `write_jpegs` makes."""
    top, bottom = (line / HEIGHT for line in WIDE)
    found: dict[int, list[Thing]] = {}
    for frame, ones in everybody.items():
        for one in ones:
            left, head, right, feet = one.corners
            seen = min(feet, bottom) - max(head, top)
            if seen >= LEAST_SEEN * (feet - head):
                y0, y1 = ((min(max(y, top), bottom) - top) / (bottom - top) for y in (head, feet))
                found.setdefault(frame, []).append(Thing((left, y0, right, y1), one.index))
    return found


def write_jpegs(path: Path, folder: Path, count: int) -> list[Path]:
    """The first frames of the film, enlarged to 1920 x 1080, as JPEG of quality 90."""
    written = []
    for number, frame in enumerate(frames(path, count)):
        picture = Image.fromarray(frame[WIDE[0] : WIDE[1], :, ::-1])
        written.append(folder / f"{number:04}.jpg")
        picture.resize((1920, 1080), Image.Resampling.BICUBIC).save(written[-1], quality=90)
    return written


def unjudged(path: Path) -> list[npt.NDArray[np.uint8]]:
    """RGB frames after those that are judged, to calibrate on: unlabelled pictures of the same camera."""
    later = list(frames(path, FRAMES))[JUDGED::CALIBRATION_STEP]
    return [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in later]


def shown_at(number: int) -> int:
    """The frame of the film that a frame of the quiet film shows."""
    turn, place = divmod(number, QUIET_TURN)
    return turn * QUIET_MOVES + min(place, QUIET_MOVES - 1)


def write_quiet(path: Path, out: Path, count: int) -> Path:
    """A quiet place: the film moves for 2 seconds, then stands still for 3, under a sensor's noise; Motion JPEG."""
    rng = np.random.default_rng(SEED)
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    moving = frames(path, shown_at(count - 1) + 1)
    shown, picture = -1, np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for number in range(count):
        while shown < shown_at(number):
            picture, shown = np.asarray(next(moving)), shown + 1
        grain = rng.normal(0, NOISE, picture.shape).astype(np.float32)
        writer.write(np.clip(picture + grain, 0, 255).astype(np.uint8))
    writer.release()
    return out


def codec(path: Path) -> str:
    """What the film is encoded as, in FFmpeg's four letters."""
    code = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC))
    return code.to_bytes(4, "little").decode("ascii", "replace")


def frames(path: Path, count: int) -> Iterator[cv2.typing.MatLike]:
    """Frames as OpenCV gives them."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    for _ in range(count):
        whole, frame = capture.read()
        if not whole:
            break
        yield frame
    capture.release()
