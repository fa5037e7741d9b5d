"""`serve` of a bundle of an encoder of text: embeddings, or classes of texts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoestring.cli.serve_language import check_writing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    import numpy as np
    import numpy.typing as npt

    from shoestring.bundle import Bundle
    from shoestring.device.serve import Settings
    from shoestring.device.slots.watching import Watching
    from shoestring.device.text import TextPlayer


def serve_encoder(
    arguments: argparse.Namespace,
    settings: Settings,
    bundle: Bundle,
    watching: Watching | None,
    stack: ExitStack,
    started: Callable[[Settings, int], None],
) -> bool:
    """Serve one bundle of an encoder; returns whether a signal ended it. Arguments as of `serve_writer`."""
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.device.language.encoder import EncoderApp, EncoderService
    from shoestring.device.serve import LiveState, run_server
    from shoestring.device.service.notify import Heart, Notifier
    from shoestring.device.text import TextPlayer

    check_writing(arguments)
    if arguments.decisions is not None:
        raise UsageError("an encoder of text runs one rung and has no decisions", hint="leave out --decisions")
    player = stack.enter_context(TextPlayer(bundle, rung=arguments.rung))
    console.say(f"rung {player.rung.name}; {player.replayed} golden texts replayed")
    dimensions = None if player.is_classifier else bundle.manifest.output.shape[-1]
    name = bundle.manifest.name
    app = EncoderApp(EncoderService(name, player.rung.name, _Player(player), dimensions, LiveState(name)), settings)
    for warning in app.warnings:
        console.say(warning)
    heart = Heart(Notifier(os.environ), "http")

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


class _Player:
    """The player as the server knows it."""

    def __init__(self, player: TextPlayer) -> None:
        self._player = player

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._player.embed(texts)

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        return [(found.answer.label, found.answer.score) for found in self._player.classify(texts)]

    def count(self, texts: Sequence[str]) -> tuple[int, tuple[int, ...]]:
        most = self._player.spec.max_tokens
        read = self._player.reader.tokens(texts)
        return sum(min(len(one.ids), most) for one in read), tuple(i for i, one in enumerate(read) if one.cut)


__all__ = ["serve_encoder"]
