"""Pictures in, words out: the way in for people and scripts without a client library."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError
from shoestring.device.answers import to_answer
from shoestring.device.serve.http import Refusal, Response, encode
from shoestring.device.serve.v2 import checked
from shoestring.inputs.image import decode, pixels, probe

if TYPE_CHECKING:
    from shoestring.device.serve.asking import Asker
    from shoestring.device.serve.http import Request
    from shoestring.device.serve.nouns import Engine, Service
    from shoestring.device.serve.settings import Settings

MEDIA = ("image/", "application/octet-stream")
"""What `/v1/classify` takes. A form of another site cannot send these, and a script of one must ask first."""


class Classify:
    """The route for pictures."""

    def __init__(self, service: Service, settings: Settings, asker: Asker) -> None:
        self._service, self._settings, self._asker = service, settings, asker

    async def classify(self, request: Request, found: dict[str, str]) -> Response:
        """What the model sees in one encoded picture."""
        media = request.headers.get(b"content-type", b"").decode("latin-1").lower()
        if not media.startswith(MEDIA):
            raise Refusal(415, f"content type {media[:60]!r} is not a picture; send image/jpeg or the like")
        body = await request.body(self._settings.body_bytes, self._settings.body_s)
        said = await self._asker.ask(request, partial(self._work, request, body), None)
        return Response(encode(said))

    def _work(self, request: Request, body: bytes, engine: Engine, deadline_s: float) -> dict[str, Any]:
        """In the desk's thread: decoding takes as long as a small model does."""
        service = self._service
        width, height = probe(body, "sent")
        if width * height > self._settings.image_pixels:
            raise DataError(
                f"the picture has {width}x{height} pixels, the limit is {self._settings.image_pixels}",
                hint="scale it down",
            )
        picture = decode(body, "sent")
        reply = engine.infer(pixels(picture, service.spec, "sent"))
        outputs = checked(reply, service.outputs)
        now = time.monotonic()
        service.live.answered(request.arrived_s, now, reply.rung)
        said: dict[str, Any] = {
            "rung": reply.rung,
            "stages": reply.stages,
            "engine_ms": 1000 * reply.busy_s,
            "total_ms": 1000 * (now - request.arrived_s),
        }
        if service.boxes is not None:
            boxes = service.boxes(outputs, picture.size)
            return {**said, "boxes": [_box(box) for box in boxes]}
        answer = to_answer(outputs, service.labels, probabilities=reply.probabilities)
        top = [{"index": index, "label": label, "score": score} for index, label, score in answer.top]
        return {**said, "index": answer.index, "label": answer.label, "score": answer.score, "top": top}


def _box(box: Any) -> dict[str, Any]:
    return {name: getattr(box, name) for name in ("left", "top", "right", "bottom", "index", "label", "score")}
