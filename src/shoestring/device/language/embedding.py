"""What a request for embeddings means, and the shape of its answer.

Source: OpenAI's API reference, embeddings; its own Python client asks for base64 (little-endian float32) by default.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.device.language.fields import Fields, shown
from shoestring.device.language.refusals import bad

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

MAX_INPUTS = 2048
"""Texts in one request; OpenAI's."""
FLOAT, BASE64 = "float", "base64"


@dataclass(frozen=True)
class EmbeddingAsk:
    """One request.

    Args:
        model: as the client named it.
        texts: to be embedded.
        form: FLOAT or BASE64.
    """

    model: str
    texts: tuple[str, ...]
    form: str


def read_embedding(body: bytes, dimensions: int) -> EmbeddingAsk:
    """A request for `/v1/embeddings`. Raises ApiRefusal that names the field.

    Args:
        body: of the request.
        dimensions: of the model's vectors.
    """
    fields = Fields(body)
    model = fields.text("model")
    if not model:
        raise fields.wrong("model", "is missing; /v1/models lists those that there are", "missing_required_parameter")
    texts = _texts(fields.take("input"))
    form = fields.text("encoding_format") or FLOAT
    if form not in (FLOAT, BASE64):
        raise fields.wrong("encoding_format", f"is {shown(form)}; there are {FLOAT} and {BASE64}")
    fields.only("dimensions", dimensions, why=f"this model's vectors have {dimensions}, and are not shortened")
    fields.ignore("user")
    fields.done()
    return EmbeddingAsk(model, texts, form)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        raise bad("input", "input is missing", "missing_required_parameter")
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise bad("input", f"input is {shown(value)}, not a text or a list of texts", "invalid_value")
    if len(texts) > MAX_INPUTS:
        raise bad("input", f"input has {len(texts)} texts, the limit is {MAX_INPUTS}", "invalid_value")
    if not all(texts):
        raise bad("input", "input holds an empty text", "invalid_value")
    return tuple(texts)


def embedding_answer(
    ask: EmbeddingAsk, name: str, rung: str, rows: npt.NDArray[np.float32], tokens: int, cut: Sequence[int]
) -> dict[str, Any]:
    """The answer.

    Args:
        ask: that is answered.
        name: of the model.
        rung: that read the texts.
        rows: float32 (texts, dimensions).
        tokens: that were read.
        cut: places of texts that were longer than the model takes.
    """
    data = [
        {"object": "embedding", "index": place, "embedding": _vector(row, ask.form)} for place, row in enumerate(rows)
    ]
    return {
        "object": "list",
        "data": data,
        "model": f"{name}:{rung}",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "shoestring": {"rung": rung, "cut": list(cut)},
    }


def _vector(row: npt.NDArray[np.float32], form: str) -> Any:
    return row.tolist() if form == FLOAT else base64.b64encode(row.astype("<f4").tobytes()).decode()


__all__ = ["BASE64", "FLOAT", "MAX_INPUTS", "EmbeddingAsk", "embedding_answer", "read_embedding"]
