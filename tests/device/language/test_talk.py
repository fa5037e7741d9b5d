"""A conversation remembers its turns, forgets the oldest when it is too long, and its answers can be stopped."""

from __future__ import annotations

import threading

import pytest

from null_writers import NullWriter
from serving_asks import until
from shoestring.base.errors import EngineFaultError, PromptTooLongError
from shoestring.device.language.nouns import Options, Prompt
from shoestring.device.language.talk import Talk


class Recording(NullWriter):
    """It keeps what it was asked."""

    def __init__(self, **more: float) -> None:
        super().__init__("small", **more)  # type: ignore[arg-type]
        self.prompts: list[Prompt] = []

    def write(self, prompt: Prompt, options: Options):  # type: ignore[no-untyped-def]
        self.prompts.append(prompt)
        return super().write(prompt, options)


def talk(most: int = 64) -> Talk:
    return Talk("be kind", Options(), most)


def test_turns_are_remembered_in_order_and_shown_as_they_come() -> None:
    writer, ours, shown = Recording(), talk(), []  # type: ignore[var-annotated]
    first = ours.ask(writer, "good day", shown.append)
    assert (first.text, first.finish, first.forgotten) == ("GOOD DAY ", "stop", 0)
    assert shown == ["GOOD ", "DAY "]
    ours.ask(writer, "and you", shown.append)
    assert writer.prompts[-1].messages == (
        ("system", "be kind"), ("user", "good day"), ("assistant", "GOOD DAY "), ("user", "and you"),
    )  # fmt: skip
    ours.reset()
    ours.ask(writer, "who", shown.append)
    assert writer.prompts[-1].messages == (("system", "be kind"), ("user", "who"))


def test_only_so_many_turns_are_kept() -> None:
    writer, ours = Recording(), talk(3)
    for number in range(6):
        said = ours.ask(writer, f"turn {number}", lambda _: None)
    assert said.forgotten == 1
    asked = [content for role, content in writer.prompts[-1].messages if role == "user"]
    assert asked == ["turn 3", "turn 4", "turn 5"]


def test_the_oldest_turns_go_where_the_context_is_too_short() -> None:
    writer, ours = Recording(), talk()
    forgotten = [ours.ask(writer, "word " * 30, lambda _: None).forgotten for _ in range(8)]
    assert any(forgotten)
    assert ours.turns < 8
    with pytest.raises(PromptTooLongError):
        ours.ask(writer, "word " * 300, lambda _: None)
    assert ours.ask(writer, "still here", lambda _: None).text == "STILL HERE "


def test_an_answer_is_stopped_and_what_came_of_it_is_kept() -> None:
    writer, ours = Recording(seconds=0.01), talk()
    shown: list[str] = []
    stopper = threading.Thread(target=lambda: (until(lambda: len(shown) >= 3), ours.stop()))
    stopper.start()
    said = ours.ask(writer, "!count 250", shown.append)
    stopper.join()
    assert said.finish is None
    assert 3 <= len(shown) < 200
    ours.ask(writer, "go on", lambda _: None)
    assert writer.prompts[-1].messages[2] == ("assistant", said.text)


def test_a_turn_whose_engine_died_is_not_remembered() -> None:
    writer, ours = Recording(), talk()
    with pytest.raises(EngineFaultError):
        ours.ask(writer, "!die 2", lambda _: None)
    assert ours.turns == 0
    assert ours.ask(writer, "hello", lambda _: None).text == "HELLO "


def test_the_rate_is_that_after_the_first_token() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    said = Talk(None, Options(), clock=clock).ask(NullWriter("small"), "a b c d", lambda _: None)
    assert said.tokens_per_s == pytest.approx(3 / said.written_s)
    assert Talk(None, Options()).ask(NullWriter("small"), "a", lambda _: None).tokens_per_s is None
