"""Talk with a bundle that writes, in the terminal.

On a terminal: Ctrl-C stops the answer and not the program; /quit, /reset, /rung NAME and /stats are commands. Elsewhere
each line of stdin is a question, and its answer goes to stdout; with --json each answer is a line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.trust_options import add_trusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shoestring.bundle import Bundle
    from shoestring.device.language.garage import Garage
    from shoestring.device.language.nouns import Options
    from shoestring.device.language.talk import Said, Talk

EXAMPLE = "shoestring chat chat.shoe --system 'Answer in one sentence.'"
HELP = "/quit ends, /reset forgets the conversation, /rung NAME changes the rung, /stats tells of the last answer"
TEMPERATURE = 0.7
MAX_QUESTION_CHARACTERS = 1_000_000
"""Of one line of stdin: more than any context that we serve holds."""


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rung", help="name of the rung (default: the chosen one)")
    parser.add_argument("--system", metavar="TEXT", help="what the model is told before everything")
    parser.add_argument(
        "--temperature", type=float, default=TEMPERATURE, metavar="T", help="0 takes the likeliest word each time"
    )
    parser.add_argument("--max-tokens", type=int, metavar="N", help="of an answer (default: until it ends)")
    parser.add_argument("--max-turns", type=int, metavar="N", help="that are remembered (default: 64)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the draw (default: another each time)")
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.bundle import open_bundle
    from shoestring.cli import console
    from shoestring.cli.trust_options import hold
    from shoestring.device.language.talk import MOST_TURNS, Talk

    options = _options(arguments)
    if arguments.max_turns is not None and arguments.max_turns < 1:
        raise UsageError(f"--max-turns {arguments.max_turns} is below 1", hint="leave it out")
    with contextlib.ExitStack() as stack:
        bundle = stack.enter_context(open_bundle(arguments.bundle))
        console.say(hold(bundle, arguments))
        garage, rung = _garage(bundle, arguments.rung)
        stack.callback(garage.close)
        with garage.lease(rung):  # loaded before the first question, so that what is wrong is said now
            console.say(f"{bundle.manifest.name}, rung {rung}")
        talk = Talk(arguments.system, options, arguments.max_turns or MOST_TURNS)
        names = tuple(one.name for one in bundle.manifest.ladder.rungs)
        session = Session(names, garage, rung, talk, as_json=arguments.json)
        if sys.stdin.isatty() and not arguments.json:
            session.converse()
        else:
            session.answer_lines()
    return 0


class Session:
    """What the user sees.

    Args:
        names: of the rungs.
        garage: of them.
        rung: to begin with.
        talk: the conversation.
        as_json: whether answers are lines of JSON.
    """

    def __init__(self, names: Sequence[str], garage: Garage, rung: str, talk: Talk, *, as_json: bool) -> None:
        self._names, self._garage, self._rung, self._talk, self._json = names, garage, rung, talk, as_json
        self._last: Said | None = None

    def converse(self) -> None:
        """Questions from a terminal, until /quit or the end of input."""
        from shoestring.base.errors import DataError, EngineError
        from shoestring.cli import console

        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - lines can be edited and called back

        console.say(HELP)
        while True:
            try:
                line = input("> ").strip()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:  # nothing is under way: only the line is given up
                print()
                continue
            if line == "/quit":
                return
            if not line:
                continue
            try:
                if not self._command(line):
                    self._ask(line)
            except (DataError, EngineError) as error:
                console.say(f"error: {error}")

    def answer_lines(self) -> None:
        """Each line of stdin is a question. The first error ends it."""
        from shoestring.base.errors import DataError

        for line in sys.stdin:
            if len(line) > MAX_QUESTION_CHARACTERS:
                raise DataError(f"a line has {len(line)} characters, the limit is {MAX_QUESTION_CHARACTERS}")
            question = line.strip()
            if question == "/quit":
                return
            if question and not self._command(question):
                self._ask(question)

    def _command(self, line: str) -> bool:
        """Do what a line that begins with a slash says; False for a question."""
        from shoestring.cli import console

        word, _, rest = line.partition(" ")
        if word == "/reset":
            self._talk.reset()
            console.say("forgotten")
        elif word == "/stats":
            console.say(self._stats())
        elif word == "/rung":
            self._change(rest.strip())
        elif word in ("/help", "/?"):
            console.say(HELP)
        else:
            return False
        return True

    def _change(self, name: str) -> None:
        from shoestring.cli import console

        if name not in self._names:
            console.say(f"the rungs are {', '.join(self._names)}; this is {self._rung}")
            return
        with self._garage.lease(name):
            self._rung = name
        console.say(f"rung {name}")

    def _ask(self, question: str) -> None:
        from shoestring.cli import console

        with self._garage.lease(self._rung) as writer, _stopping(self._talk):
            said = self._talk.ask(writer, question, _quiet if self._json else _show)
        self._last = said
        if said.forgotten:
            console.say(f"the conversation is too long: its {said.forgotten} oldest turns are forgotten")
        if self._json:
            print(json.dumps(self._plain(said), ensure_ascii=False), flush=True)
            return
        print(flush=True)
        if said.finish is None:
            console.say("stopped")
        elif sys.stderr.isatty():
            console.say(f"  {self._stats()}")

    def _stats(self) -> str:
        said = self._last
        if said is None:
            return f"rung {self._rung}; nothing was answered yet"
        rate = said.tokens_per_s
        words = [f"rung {self._rung}", f"first token after {1000 * said.first_s:.0f} ms"]
        if said.usage is not None:
            words.append(f"{said.usage.read} tokens read ({said.usage.cached} known), {said.usage.written} written")
        if rate is not None:
            words.append(f"{rate:.1f} tokens/s")
        return ", ".join(words)

    def _plain(self, said: Said) -> dict[str, object]:
        usage = said.usage
        return {
            "answer": said.text,
            "finish": said.finish,
            "rung": self._rung,
            "tokens_read": None if usage is None else usage.read,
            "tokens_written": None if usage is None else usage.written,
            "first_ms": 1000 * said.first_s,
            "tokens_per_s": said.tokens_per_s,
            "turns": self._talk.turns,
        }


def _options(arguments: argparse.Namespace) -> Options:
    from shoestring.base.errors import UsageError
    from shoestring.device.language.nouns import Options

    if not 0 <= arguments.temperature <= 2:
        raise UsageError(f"--temperature {arguments.temperature:g} is outside 0..2", hint="--temperature 0.7")
    if arguments.max_tokens is not None and arguments.max_tokens < 1:
        raise UsageError(f"--max-tokens {arguments.max_tokens} is below 1", hint="leave it out")
    return Options(max_tokens=arguments.max_tokens, temperature=arguments.temperature, seed=arguments.seed)


def _garage(bundle: Bundle, rung: str | None) -> tuple[Garage, str]:
    from shoestring.base.errors import UsageError
    from shoestring.device.language.garage import Garage
    from shoestring.device.language.llama import Loader

    manifest = bundle.manifest
    if manifest.generation is None or not manifest.generation.chat:
        why = "has no chat template" if manifest.generation is not None else "does not write text"
        raise UsageError(f"{manifest.name!r} {why}", hint="shoestring run answers with it")
    ladder = manifest.ladder
    names = [one.name for one in ladder.rungs]
    if rung is not None and rung not in names:
        raise UsageError(f"no rung is called {rung!r}", hint=f"there are {', '.join(names)}")
    memory = {one.name: one.candidate.cost.peak_rss_bytes for one in ladder.rungs}
    return Garage(Loader(bundle), memory, most=1), rung or ladder.chosen


@contextlib.contextmanager
def _stopping(talk: Talk) -> Iterator[None]:
    """Within it Ctrl-C stops the answer; a second one within the same answer ends the program as ever."""
    stopped = False

    def handle(number: int, frame: object) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True
        talk.stop()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _show(text: str) -> None:
    """What a model writes may hold characters that a terminal would act on."""
    from shoestring.cli import console

    sys.stdout.write(console.clean(text))
    sys.stdout.flush()


def _quiet(text: str) -> None:
    """It is shown as a whole."""
