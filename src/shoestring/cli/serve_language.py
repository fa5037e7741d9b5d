"""`serve` of a bundle that writes: OpenAI's API under the governor."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from shoestring.bundle import Bundle
    from shoestring.device.language.running import WriterRunning
    from shoestring.device.language.service import WriterService
    from shoestring.device.live.keeping import Page
    from shoestring.device.live.listeners import Listener
    from shoestring.device.serve import Settings
    from shoestring.device.serve.written import Tokens
    from shoestring.device.slots.watching import Watching

CONNECTIONS, CLIENT_CONNECTIONS = 320, 160
"""Open at a time: who waits for an answer keeps a connection, so there are more of them than places in the queue."""
IMAGES_ONLY = {"source": None, "gate": False, "realtime": False, "deadline": None, "mqtt": None, "fps": None}
"""Flags that mean nothing here, with the value that says they were left out."""
MOST_AT_ONCE = 32
"""Answers at a time: each keeps the keys and values of a whole context in memory."""


def add_writing(parser: argparse.ArgumentParser) -> None:
    """Flags of bundles that write."""
    group = parser.add_argument_group("models that write")
    group.add_argument("--at-once", type=int, default=1, metavar="N", help="answers that are written at the same time")
    group.add_argument(
        "--tokens-per-s", type=float, metavar="N", help="that are wanted (default: what the chosen rung writes)"
    )


def serve_writer(
    arguments: argparse.Namespace,
    settings: Settings,
    bundle: Bundle,
    watching: Watching | None,
    stack: ExitStack,
    started: Callable[[Settings, int], None],
) -> bool:
    """Serve one bundle that writes; returns whether a signal ended it.

    Args:
        arguments: of the verb.
        settings: checked.
        bundle: held and open.
        watching: of the slots, or None.
        stack: that ends what is begun here.
        started: told the port.
    """
    from shoestring.cli import console
    from shoestring.device.language.app import WriterApp
    from shoestring.device.live.keeping import Page
    from shoestring.device.serve import run_server
    from shoestring.device.serve.written import Tokens
    from shoestring.device.service.beats import Beats
    from shoestring.device.service.notify import Heart, Notifier

    check_writing(arguments)
    settings = replace(settings, connections=CONNECTIONS, client_connections=CLIENT_CONNECTIONS)
    tokens = Tokens()
    page = Page(bundle.manifest.name, None)
    page.state.written = tokens.snapshot
    heart = Heart(Notifier(os.environ), "http", "governor")
    listeners = [page, Beats(heart), *([] if watching is None else [watching])]
    running = stack.enter_context(_running(arguments, bundle, listeners))
    console.say(_begins(running))
    app = WriterApp(_service(bundle, running, page, tokens, arguments.at_once), settings)
    for warning in app.warnings:
        console.say(warning)

    def ready(port: int) -> None:
        heart.ready()
        started(settings, port)

    signalled = run_server(
        app,
        settings,
        say=console.say,
        started=ready,
        beat=lambda: heart.beat("http"),
        leave=lambda: watching is not None and watching.leaving is not None,
    )
    if signalled:
        heart.stopping()
    return signalled


def check_writing(arguments: argparse.Namespace) -> None:
    """Raises UsageError for flags that make no sense with a bundle that writes."""
    for name, left_out in IMAGES_ONLY.items():
        if getattr(arguments, name) != left_out:
            raise UsageError(f"--{name} is for pictures, and this bundle writes text", hint="leave it out")
    if not 1 <= arguments.at_once <= MOST_AT_ONCE:
        raise UsageError(f"--at-once {arguments.at_once} is outside 1..{MOST_AT_ONCE}", hint="--at-once 2")
    rate = arguments.tokens_per_s
    if rate is not None and not 0 < rate <= 1e6:
        raise UsageError(f"--tokens-per-s {rate:g} is outside (0, 1000000]", hint="people read about 5 a second")


def _running(arguments: argparse.Namespace, bundle: Bundle, listeners: Sequence[Listener]) -> WriterRunning:
    from shoestring.cli.live_options import asked_of
    from shoestring.device.language.llama import Loader
    from shoestring.device.language.running import WriterRunning
    from shoestring.device.live.running import chip_of

    return WriterRunning(
        bundle.manifest,
        Loader(bundle, arguments.at_once),
        replace(asked_of(arguments), rate=arguments.tokens_per_s),
        chip=chip_of(bundle, arguments.chip, arguments.chip_file),
        listeners=listeners,
        journal=arguments.decisions,
    )


def _service(bundle: Bundle, running: WriterRunning, page: Page, tokens: Tokens, at_once: int) -> WriterService:
    from shoestring.device.language.service import WriterService

    generation = bundle.manifest.generation
    return WriterService(
        bundle.manifest.name,
        running.rungs,
        running.garage,
        running.governing,
        page.state,
        tokens,
        at_once,
        None if generation is None else generation.cascade,
        lambda: running.governing.ready,
    )


def _begins(running: WriterRunning) -> str:
    limits = running.limits
    kept = [f"{limits.celsius:g} C" if limits.celsius is not None else ""]
    kept += [f"{limits.watts:g} W" if limits.watts is not None else ""]
    rungs = ", ".join(plan.name for plan in running.plans)
    model = "with" if running.has_thermal_model else "without"
    return (
        f"rungs {rungs}; {limits.rate:.3g} tokens/s wanted, kept below {', '.join(filter(None, kept))}, "
        f"{model} a thermal model of the board"
    )


__all__ = ["add_writing", "check_writing", "serve_writer"]
