"""`run` for a bundle of a model that writes: a prompt in, a text out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Rung

EXAMPLE = 'shoestring run chat.shoe "Why is the sky blue?"'
STDIN = "-"
SUFFIXES = (".txt", ".text", ".md")


def write_answers(arguments: argparse.Namespace, bundle: Bundle, stack: ExitStack) -> int:
    """Answer each prompt by itself; returns how many.

    Raises:
        UsageError: a flag is for images, or there is no prompt.
        ShoestringError: as `replay_rung` and `Writer`.
    """
    from shoestring.base.errors import UsageError
    from shoestring.base.units import parse_ms
    from shoestring.cli import console
    from shoestring.cli.trust_options import hold
    from shoestring.device.choose import choose_rung
    from shoestring.device.language.model_files import model_file
    from shoestring.device.language.replaying import replay_rung
    from shoestring.runtimes.llamacpp.writer import Writer

    generation = bundle.manifest.generation
    if generation is None:
        raise UsageError(f"{bundle.path} writes no text", hint="shoestring run camera.shoe photo.jpg")
    if arguments.cascade:
        raise UsageError("run asks one rung of a model that writes", hint="leave out --cascade, or name a --rung")
    latency_ms = parse_ms(arguments.latency) if arguments.latency is not None else None
    signed = hold(bundle, arguments)  # before anything of it is run
    prompts = prompts_of(arguments.files)
    rung = choose_rung(bundle.manifest.ladder, name=arguments.rung, threads=arguments.threads, latency_ms=latency_ms)
    threads = rung.threads if arguments.threads is None else arguments.threads
    replayed = replay_rung(bundle, rung, threads=threads)
    console.say(f"rung {rung.name}, {threads} thread(s); {replayed} golden texts replayed; {signed}")
    writer = stack.enter_context(
        Writer(
            model_file(bundle, rung.candidate.artefact_sha256),
            context=generation.context,
            threads=threads,
            prefill_threads=threads if arguments.threads else generation.prefill_threads[rung.name],
            cache_type=generation.cache_type,
        )
    )
    rows = [_answer(arguments, writer, rung, prompt, generation.chat) for prompt in prompts]
    if arguments.json:
        console.show_json({"rung": rung.name, "threads": threads, "answers": rows})
    return len(rows)


def _answer(arguments: argparse.Namespace, writer: Any, rung: Rung, prompt: str, chat: bool) -> dict[str, Any]:
    """One answer, shown as it is written."""
    from shoestring.cli import console
    from shoestring.runtimes.llamacpp.asking import Options

    options = Options(
        max_tokens=arguments.max_tokens, temperature=0.0 if arguments.temperature is None else arguments.temperature
    )
    messages = [{"role": "user", "content": prompt}]
    pieces, last = [], None
    with writer.chat(messages, options) if chat else writer.complete(prompt, options) as stream:
        for piece in stream:
            pieces.append(piece.text)
            last = piece
            if not arguments.json:
                sys.stdout.write(console.clean(piece.text))
                sys.stdout.flush()
    if not arguments.json:
        print()
    usage = None if last is None else last.usage
    if usage is not None and usage.written_s:
        rate = (usage.written_tokens - 1) / usage.written_s
        console.say(f"{usage.prompt_tokens} tokens read, {usage.written_tokens} written, {rate:.3g} tokens/s")
    return {
        "prompt": prompt,
        "text": "".join(pieces),
        "finish": None if last is None else last.finish,
        "usage": usage,
        "rung": rung.name,
    }


def prompts_of(named: list[str]) -> list[str]:
    """Texts as they are given, files of them by their suffix, and `-` for standard input.

    Raises:
        UsageError: an empty prompt.
        DataError: a file cannot be read, is too long, or is no UTF-8.
    """
    from shoestring.base.errors import UsageError

    found = []
    for one in named:
        text = sys.stdin.read() if one == STDIN else _file(Path(one)) if Path(one).suffix in SUFFIXES else one
        if not text.strip():
            raise UsageError(f"the prompt {one!r} is empty", hint=EXAMPLE)
        found.append(text)
    return found


def _file(path: Path) -> str:
    from shoestring.base.errors import DataError
    from shoestring.base.limits import MAX_TEXT_BYTES

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", hint="convert it") from error
    if len(data) > MAX_TEXT_BYTES:
        raise DataError(f"{path} is longer than {MAX_TEXT_BYTES} bytes", hint="shorten it")
    return text
