"""Events of streams as pieces, sound ones and those that no engine should send."""

from __future__ import annotations

import contextlib
import io
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proof_scale import SCALE
from shoestring.base.errors import DataError, EngineError, EngineFaultError, ShoestringError
from shoestring.runtimes.llamacpp.asking import LENGTH, Options
from shoestring.runtimes.llamacpp.bodies import chat_body, completion_body
from shoestring.runtimes.llamacpp.events import Reader, refusal
from shoestring.runtimes.llamacpp.talking import next_event, whole

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
FIELDS = st.sampled_from(["choices", "usage", "timings", "prompt_progress", "error", "delta", "text", "logprobs"])


def read(data: bytes) -> Any:
    return next_event(cast("Any", io.BytesIO(data)), "engine")


def test_comments_are_passed_over_and_the_end_is_known() -> None:
    assert read(b': ping\n\nevent: x\ndata: {"choices": []}\n\n') == {"choices": []}
    assert read(b"data: [DONE]\n\n") is None
    assert read(b"") is None
    assert read(b'error: {"code": 500}\n') == {"error": {"code": 500}}


@pytest.mark.parametrize("line", [b"data: [1]\n", b"data: {\n", b"data: \xff\xfe\n", b"data: 7\n"])
def test_what_is_no_event_is_a_fault(line: bytes) -> None:
    with pytest.raises(EngineFaultError):
        read(line)
    with pytest.raises(EngineFaultError):
        whole(cast("Any", io.BytesIO(b"<html>")), "engine")


@given(st.dictionaries(FIELDS, JSON, max_size=4))
@settings(max_examples=50 * SCALE, deadline=None)
def test_no_event_raises_anything_but_our_own(event: dict[str, Any]) -> None:
    with contextlib.suppress(ShoestringError):
        list(Reader("engine").pieces(event))


def test_an_answer_that_is_cut_says_what_came_before() -> None:
    reader = Reader("engine")
    list(reader.pieces({"choices": [], "prompt_progress": {"processed": 7, "total": 7}}))
    list(reader.pieces({"choices": [{"delta": {"content": "x"}}]}))
    last = reader.cut("deadline")
    assert last.finish == "deadline"
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.written_tokens) == (7, 1)


def test_the_last_piece_has_finish_and_usage() -> None:
    reader = Reader("engine")
    assert list(reader.pieces({"choices": [{"finish_reason": "length", "delta": {}}]})) == []
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    (last,) = reader.pieces({"choices": [], "usage": usage, "timings": {"prompt_ms": 20, "draft_n": 4}})
    assert last.finish == LENGTH
    assert last.usage is not None
    assert (last.usage.cached_tokens, last.usage.read_s, last.usage.drafted_tokens) == (1, 0.02, 4)


def test_refusals_have_their_place_in_the_tree() -> None:
    long = {"type": "exceed_context_size_error", "code": 400, "n_prompt_tokens": 4001, "n_ctx": 1024}
    assert isinstance(error := refusal("engine", long), DataError)
    assert "4,001" in error.message
    assert "1,024" in error.message
    assert isinstance(refusal("engine", {"code": 400, "message": "x"}), DataError)
    assert type(refusal("engine", {"code": 500, "message": "x"})) is EngineError
    assert type(refusal("engine", None)) is EngineError


def test_options_are_all_sent() -> None:
    options = Options(
        max_tokens=5, temperature=0.5, top_p=0.9, top_k=7, min_p=0.1, seed=3, stop=("x",), likeliest=2, cache=False
    )
    chat = chat_body([{"role": "user", "content": "x"}], options)
    text = completion_body([1, 2], options)
    for body in (chat, text):
        wanted = {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "seed": 3}
        assert wanted.items() <= body.items()
        assert body["stop"] == ["x"]
        assert body["cache_prompt"] is False
    assert (chat["logprobs"], chat["top_logprobs"], text["logprobs"]) == (True, 2, 2)
    assert completion_body("x", Options(json=True))["response_format"] == {"type": "json_object"}
