"""What a live page may have to show, made up: each scene is a LiveState, perhaps with a thread that fills it."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageDraw

from shoestring.device.answers import Answer
from shoestring.device.governor.nouns import Decision
from shoestring.device.pipelines.nouns import Box, Result
from shoestring.device.sensors.readings import Fault, Readings
from shoestring.device.serve import LiveState

BOXES = (
    Box(0.1, 0.3, 0.25, 0.9, 0, "person", 0.91, 1),
    Box(0.5, 0.2, 0.65, 0.8, 0, "person", 0.83, 2),
    Box(0.7, 0.6, 0.95, 0.9, 16, "dog", 0.66, 3),
)
RUNGS = ("int8-small:int8@native", "int8@native", "fp32")


class Past:
    """A clock that can be set back, to make up a history."""

    def __init__(self) -> None:
        self.back_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self.back_s


def picture(number: int) -> bytes:
    """A grey scene with boxes, another one for every number."""
    image = Image.new("RGB", (640, 400), (120, 130, 140))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 260, 640, 400), fill=(90, 100, 80))
    for box in BOXES:
        shift = 6 * (number % 10)
        corners = (640 * box.left + shift, 400 * box.top, 640 * box.right + shift, 400 * box.bottom)
        draw.rectangle(corners, outline=(255, 200, 0), width=4)
        draw.text((corners[0] + 6, corners[1] + 4), f"{box.label} {100 * box.score:.0f} %", fill=(255, 255, 255))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def result(number: int, now: float, latency_s: float, rung: str) -> Result:
    return Result(number, now - latency_s, now, rung, "model", BOXES)


def running(*, faults: tuple[Fault, ...] = (), name: str = "yolov3-tiny") -> tuple[LiveState, Past]:
    """Ten minutes of a board that grew hot and came down a rung."""
    clock = Past()
    clock.back_s = 600.0
    live = LiveState(
        name, source="camera 0", celsius=80.0, watts=7.0, clock=clock, wall=lambda: time.time() - clock.back_s
    )
    rung = RUNGS[2]
    for second in range(600):
        clock.back_s = 600.0 - second
        now = clock()
        celsius = None if 200 < second < 230 else 55 + 22 * (1 - math.exp(-second / 150)) + 0.6 * math.sin(second / 9)
        decision = None
        if second in (0, 180, 420):
            rung = RUNGS[2 - second // 180]
            why = {
                0: "the best rung that holds the limits",
                180: "81.2 °C expected in 60 s, the limit is 80.0 °C",
                420: "99 of 100 answers took 210 ms, the deadline is 200 ms",
            }[second]
            numbers: dict[str, Any] = {"forecast_celsius": 78.4, "forecast_in_s": 60.0}
            decision = Decision(now, rung, 10.0 - second / 100, why, second > 0, numbers)
        readings = Readings(
            now, celsius, 4.2 + 1.5 * math.sin(second / 60), 0.87, 12.0, 412_000_000, False, False, 14.2, True, faults
        )
        live.publish(result(second, now, 0.03 + 0.02 * (second % 7) / 7, rung), decision, readings)
    live.publish(picture_jpeg=picture(0))
    clock.back_s = 0.0
    return live, clock


def going_on(live: LiveState, clock: Past) -> None:
    """Fill it ten times a second from now on."""

    def fill() -> None:
        for number in range(600, 1_000_000):
            now = clock()
            live.publish(
                result(number, now, 0.03, RUNGS[0]),
                readings=Readings(now, 76.0, 4.4, 0.9, memory_free_bytes=400_000_000),
                picture_jpeg=picture(number),
            )
            time.sleep(0.1)

    threading.Thread(target=fill, daemon=True).start()


def well() -> LiveState:
    live, clock = running()
    going_on(live, clock)
    return live


def troubled() -> LiveState:
    """The camera is silent, a sensor lies, the engine is down."""
    live, _ = running(faults=(Fault("celsius", "impossible", "-89"),))
    live.publish(readings=Readings(time.monotonic(), None, 4.4, faults=(Fault("celsius", "impossible", "-89"),)))
    live.trouble("engine", "crashed (signal 11); next try in 4 s")
    return live


def requests() -> LiveState:
    """No camera, no sensors: a classifier behind HTTP."""
    live = LiveState("mobilenet-cifar10")
    for number in range(40):
        now = time.monotonic()
        live.answered(now - 0.002 * (1 + number % 5), now, "int8@native")
    return live


def silent() -> LiveState:
    """A camera that gives one picture and then nothing."""
    live = LiveState("yolov3-tiny", source="camera 0")
    now = time.monotonic()
    live.publish(Result(0, now, now, "int8", "model", BOXES), picture_jpeg=picture(0))
    return live


def hostile() -> LiveState:
    """Names that are markup."""
    live, _ = running(name="<img src=x onerror=alert(1)>" + "x" * 80)
    now = time.monotonic()
    answer = Answer("<b>cat</b>", 0, 0.9, ((0, "<b>cat</b>", 0.9),))
    decision = Decision(now, "<script>alert(2)</script>", 1.0, "</ol><script>alert(3)</script>", True, {})
    live.publish(Result(1, now, now, "r", "model", (), answer), decision)
    return live


SCENES: dict[str, Callable[[], LiveState]] = {
    "well": well,
    "troubled": troubled,
    "requests": requests,
    "silent": silent,
    "hostile": hostile,
}
