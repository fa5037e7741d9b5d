"""`run` for a bundle of an encoder: classes of texts, or their embeddings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

    from shoestring.bundle import Bundle
    from shoestring.device.text import TextPlayer

SHOWN = 40  # characters of a text that was given on the command line
STDIN = "-"
SUFFIXES = (".txt", ".text", ".md")
VALUES = 3  # of an embedding that a terminal shows


def answer_texts(arguments: argparse.Namespace, bundle: Bundle, stack: ExitStack) -> int:
    """Answer the texts, files and folders that were named; returns how many.

    Raises:
        UsageError: a file is not there, a flag is for images, or there is nothing to answer.
        ShoestringError: as `TextPlayer`.
    """
    from shoestring.base.errors import UsageError
    from shoestring.base.units import parse_ms
    from shoestring.cli import console
    from shoestring.cli.trust_options import hold
    from shoestring.device.text import TextPlayer

    if arguments.cascade:
        raise UsageError("a bundle of an encoder has no cascade", hint="leave out --cascade")
    latency_ms = parse_ms(arguments.latency) if arguments.latency is not None else None
    signed = hold(bundle, arguments)  # before anything of it is run
    player = stack.enter_context(
        TextPlayer(bundle, rung=arguments.rung, threads=arguments.threads, latency_ms=latency_ms)
    )
    console.say(
        f"rung {player.rung.name}, {player.threads} thread(s); {player.replayed} golden texts replayed; {signed}"
    )
    named = list(_named(arguments.files))
    if not named:
        raise UsageError("there is no text to answer", hint='shoestring run text.shoe "a text" file.txt')
    names, texts = [name for name, _ in named], [text for _, text in named]
    rows = _classes(arguments, player, names, texts) if player.is_classifier else _vectors(arguments, player, named)
    if arguments.json:
        console.show_json({"rung": player.rung.name, "threads": player.threads, "answers": rows})
    return len(rows)


def _classes(
    arguments: argparse.Namespace, player: TextPlayer, names: Sequence[str], texts: Sequence[str]
) -> list[dict[str, Any]]:
    from shoestring.cli import console

    rows = []
    for name, said in zip(names, player.classify(texts), strict=True):
        shown = said.answer.top[: arguments.top]
        top = [{"index": i, "label": label, "score": score} for i, label, score in shown]
        rows.append({"text": name, "top": top, "tokens": said.tokens, "cut": said.cut})
        if not arguments.json:
            words = ", ".join(f"{label} {100 * score:.1f} %" for _, label, score in shown)
            print(console.clean(f"{name}: {words}{_cut(player, said.cut)}"), flush=True)
    return rows


def _vectors(
    arguments: argparse.Namespace, player: TextPlayer, named: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    from shoestring.cli import console

    texts = [text for _, text in named]
    read = player.reader.tokens(texts)
    rows = []
    for (name, _), vector, one in zip(named, player.embed(texts), read, strict=True):
        rows.append({"text": name, "embedding": vector.tolist(), "tokens": len(one.ids), "cut": one.cut})
        if not arguments.json:
            first = ", ".join(f"{value:.4f}" for value in vector[:VALUES])
            words = f"{name}: {len(vector)} values, {first} ... (all with --json){_cut(player, one.cut)}"
            print(console.clean(words), flush=True)
    return rows


def _cut(player: TextPlayer, cut: bool) -> str:
    return f" (only the first {player.spec.max_tokens} tokens were read)" if cut else ""


def _named(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A name for people and the text: of a file, of each file in a folder, of each line of stdin, or the word itself."""
    from shoestring.base.errors import UsageError
    from shoestring.evaluate.texts import read_text

    for word in given:
        path = Path(word)
        if word == STDIN:
            for number, line in enumerate(sys.stdin, start=1):
                if line.strip():
                    yield f"line {number}", line.rstrip("\n")
        elif _is(path, "dir"):
            for one in sorted(path.iterdir()):
                if one.suffix.lower() in SUFFIXES and one.is_file():
                    yield str(one), read_text(one)
        elif _is(path, "file"):
            yield word, read_text(path)
        elif path.suffix.lower() in SUFFIXES and " " not in word:
            raise UsageError(f"{word} is not there", hint="give a file, or a text in quotes")
        else:
            yield (word if len(word) <= SHOWN else f"{word[: SHOWN - 3]}..."), word


def _is(path: Path, kind: str) -> bool:
    try:
        return path.is_dir() if kind == "dir" else path.is_file()
    except (OSError, ValueError):  # a text is often too long, or too odd, for a path
        return False
