"""An answer in its thread: the governor's rung or a pinned one, the cascade, cancelling at any moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from null_writers import NullWriter
from serving_writers import CASCADE
from shoestring.base.errors import EngineDownError, EngineFaultError, PromptTooLongError
from shoestring.device.language.garage import Garage
from shoestring.device.language.jobs import Always, Began, Ended, Job
from shoestring.device.language.nouns import Options, Piece, Prompt, texts

GREEDY = Options(temperature=0.0)


class Heard:
    """A chooser that remembers."""

    def __init__(self, rung: str = "large") -> None:
        self.rung = rung
        self.wrote_: list[tuple[str, int]] = []
        self.failed_: list[str] = []
        self.turns = 0

    def turn(self, cancelled: Any) -> str:
        self.turns += 1
        return self.rung

    def wrote(self, rung: str, seconds: float, tokens: int) -> None:
        assert seconds >= 0
        self.wrote_.append((rung, tokens))

    def failed(self, rung: str) -> None:
        self.failed_.append(rung)


def garage(made: list[NullWriter] | None = None, free_bytes: int = 10**12) -> Garage:
    writers = [] if made is None else made

    def make(rung: str) -> NullWriter:
        sure = (lambda text: -2.0 if "hard" in text else -0.1) if rung == "small" else (lambda _: -0.1)
        writers.append(NullWriter(rung, logprob=sure))
        return writers[-1]

    return Garage(make, {"small": 10**6, "large": 10**6}, free_bytes=lambda: free_bytes)


def events_of(text: str, **more: Any) -> list[Any]:
    found: list[Any] = []
    options = more.pop("options", GREEDY)
    chooser = more.pop("chooser", Always("large"))
    rooms = more.pop("garage", None) or garage()
    Job(
        Prompt(text=text), options, more.pop("pinned", None), rooms, chooser, more.pop("cascade", None), found.append
    ).run()
    assert isinstance(found[-1], Ended)
    assert sum(isinstance(one, Ended) for one in found) == 1
    return found


def test_an_answer_begins_is_written_and_ends() -> None:
    chooser = Heard()
    found = events_of("a b c", chooser=chooser)
    assert found[0] == Began("large")
    assert texts([one for one in found if isinstance(one, Piece)]) == "A B C "
    assert found[-1] == Ended()
    assert sum(tokens for _, tokens in chooser.wrote_) == 2  # the first one's time is that of the prompt


def test_a_pinned_rung_writes_but_waits_for_the_governors_leave() -> None:
    chooser = Heard()
    assert events_of("a b", pinned="small", chooser=chooser)[0] == Began("small")
    assert chooser.turns == 1


@pytest.mark.parametrize(("text", "rung", "word"), [("easy", "small", "kept"), ("hard", "large", "passed on")])
def test_the_cascade_follows_its_threshold(text: str, rung: str, word: str) -> None:
    began, *rest = events_of(text, cascade=CASCADE)
    assert (began.rung, began.more["cascade"]) == (rung, word)
    assert texts([one for one in rest if isinstance(one, Piece)]) == text.upper() + " "


@pytest.mark.parametrize(
    "more",
    [
        {"options": Options(temperature=0.5)},
        {"options": Options(temperature=0.0, json=True)},
        {"pinned": "large"},
        {"chooser": Always("small")},
        {"garage": garage(free_bytes=10)},
    ],
)
def test_the_cascade_keeps_out_where_its_certificate_says_nothing_or_memory_is_short(more: dict[str, Any]) -> None:
    assert "cascade" not in events_of("easy", cascade=CASCADE, **more)[0].more


def test_an_engine_that_dies_is_told_to_governor_and_client() -> None:
    chooser = Heard()
    made: list[NullWriter] = []
    rooms = garage(made)
    found = events_of("!die 2", chooser=chooser, garage=rooms)
    assert isinstance(found[-1].error, EngineFaultError)
    assert len(found) == 4  # it began, two pieces came, it ended
    assert chooser.failed_ == ["large"]
    assert made[0].closed
    assert events_of("well", garage=rooms)[-1] == Ended()


def test_a_prompt_that_is_too_long_is_nobodys_failure() -> None:
    chooser = Heard()
    found = events_of("word " * 300, chooser=chooser)
    assert isinstance(found[-1].error, PromptTooLongError)
    assert (found[-1].error.tokens, found[-1].error.limit) == (300, 256)
    assert chooser.failed_ == []


def test_a_board_that_must_rest_answers_nobody() -> None:
    class Resting(Heard):
        def turn(self, cancelled: Any) -> str:
            raise EngineDownError("the board must rest (heat)", "resting", 30.0)

    made: list[NullWriter] = []
    found = events_of("a", chooser=Resting(), garage=garage(made))
    assert isinstance(found[-1].error, EngineDownError)
    assert made == []


def test_a_defect_is_heard_by_who_waits_and_not_swallowed() -> None:
    class Broken(Heard):
        def turn(self, cancelled: Any) -> str:
            raise ZeroDivisionError

    found: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        Job(Prompt(text="a"), GREEDY, None, garage(), Broken(), None, found.append).run()
    assert found[-1].error is not None


@pytest.mark.parametrize("text", ["!hang", "!count 200"])
def test_cancelling_ends_an_answer_from_any_thread(text: str) -> None:
    made: list[NullWriter] = []
    found: list[Any] = []
    begun = threading.Event()

    def emit(event: Any) -> None:
        found.append(event)
        begun.set()

    rooms = garage(made)
    with rooms.lease("large"):
        pass
    made[0].seconds = 0.01
    job = Job(Prompt(text=text), GREEDY, None, rooms, Always("large"), None, emit)
    thread = threading.Thread(target=job.run)
    thread.start()
    if text == "!hang":
        while not made[0].begun:
            pass
    else:
        begun.wait(30)
    job.cancel()
    thread.join(30)
    assert not thread.is_alive()
    assert found[-1] == Ended()
    assert made[0].cancelled == [text]
    assert len(found) < 150


def test_one_that_was_cancelled_before_it_began_writes_nothing() -> None:
    made: list[NullWriter] = []
    found: list[Any] = []
    job = Job(Prompt(text="a b"), GREEDY, None, garage(made), Always("large"), None, found.append)
    job.cancel()
    job.run()
    assert found == [Ended()]
