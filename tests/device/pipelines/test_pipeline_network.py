"""A network camera that is really there: Motion JPEG over HTTP from this process, read by FFmpeg, lost and found again.

RTSP goes the same way through FFmpeg; no server for it was at hand.
"""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from shoestring.base.addresses import without_password
from shoestring.device.pipelines.nouns import Frame
from shoestring.device.pipelines.sources import Stale, opencv
from shoestring.device.pipelines.sources.newest import Newest, Patience

pytest.importorskip("cv2")
EACH = 12  # frames of a connection, after which the camera hangs up


class Camera(BaseHTTPRequestHandler):
    """Sends pictures whose grey tells the connection."""

    connections = 0

    def do_GET(self) -> None:
        kind = type(self)
        kind.connections += 1
        stream = io.BytesIO()
        Image.new("RGB", (64, 48), (min(250, 40 * kind.connections),) * 3).save(stream, "JPEG")
        picture = stream.getvalue()
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for _ in range(EACH):
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
                self.wfile.write(picture + b"\r\n")
        except OSError:
            return  # the reader has gone

    def log_message(self, *_: object) -> None: ...


def test_a_camera_that_hangs_up_is_opened_again_and_its_frames_go_on() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Fresh", (Camera,), {"connections": 0}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://me:secret@127.0.0.1:{server.server_port}/stream.mjpg"
    patience = Patience(oldest_s=1e9, retry_s=0.01, longest_retry_s=0.02)
    source = Newest(lambda: opencv.StreamCapture(url), without_password(url), patience=patience)
    seen: list[Frame] = []
    for said in source:
        if isinstance(said, Frame):
            seen.append(said)
            assert said.size == (64, 48) and said.pixels.shape == (48, 64, 3)
        else:
            assert "secret" not in said.reason
        if source.reopened >= 2 and seen and seen[-1].pixels[0, 0, 0] > 100:
            break
    source.close()
    server.shutdown()
    server.server_close()
    thread.join(20)
    greys = [int(frame.pixels[20, 20, 0]) for frame in seen]
    numbers = [frame.number for frame in seen]
    assert greys == sorted(greys) and numbers == sorted(set(numbers))
    assert len(seen) + source.dropped <= source.reopened * EACH + EACH


def test_a_camera_that_is_not_there_is_told_and_closing_does_not_hang() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    port = server.server_port
    server.server_close()  # nobody listens there now
    url = f"rtsp://me:secret@127.0.0.1:{port}/live"
    source = Newest(lambda: opencv.StreamCapture(url), "cam", patience=Patience(stale_s=0.05, retry_s=0.01))
    reasons = []
    for said in source:
        assert isinstance(said, Stale)
        reasons.append(said.reason)
        if said.reason:
            break
    assert "does not answer" in reasons[-1] and "secret" not in reasons[-1] and str(port) in reasons[-1]
    source.close()
    assert not source._thread.is_alive()
