"""Serve a bundle over HTTP, under the governor: the Open Inference Protocol, figures for Prometheus, a page for people.

A bundle that writes text speaks OpenAI's API: /v1/chat/completions, /v1/completions, /v1/models; one of an encoder has
/v1/embeddings, or classes of texts in the Open Inference Protocol.

It listens on this machine alone. Any other host needs tokens and TLS. With --source a camera or a video runs beside the
requests, and the page shows its pictures. Nothing is sent anywhere but to who asks.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.live_options import add_limits, add_mqtt, add_sparing
from shoestring.cli.serve_encoder import serve_encoder
from shoestring.cli.serve_language import add_writing, serve_writer
from shoestring.cli.slot_options import add_slots, begin_again, bundle_for
from shoestring.cli.trust_options import add_trusted

if TYPE_CHECKING:
    from contextlib import ExitStack

    from shoestring.bundle import Bundle
    from shoestring.device.live.keeping import Page
    from shoestring.device.live.running import Running
    from shoestring.device.pipelines.sources import Source
    from shoestring.device.serve import Service, Settings
    from shoestring.device.service.notify import Heart
    from shoestring.device.slots.watching import Watching

EXAMPLE = "shoestring serve camera.shoe --source /dev/video0 --celsius 75"
PORT = 8400
TOKEN_VARIABLE = "SHOESTRING_TOKEN"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--source", nargs="+", metavar="SOURCE", help="camera, address, video file or images")
    parser.add_argument("--rung", help="the only rung to run (default: the governor picks)")
    add_trusted(parser)
    add_slots(parser)
    group = parser.add_argument_group("network")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    group.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one (default: {PORT})")
    group.add_argument(
        "--name", action="append", default=[], help="that clients may call this machine by; repeatable", metavar="HOST"
    )
    group.add_argument("--tokens", type=Path, metavar="FILE", help=f"who may ask; ${TOKEN_VARIABLE} holds one more")
    group.add_argument(
        "--new-token", metavar="WHO", help="make a token, show it once with its line for the file, and end"
    )
    group.add_argument("--certificate", type=Path, metavar="PEM", help="for TLS")
    group.add_argument("--key", type=Path, metavar="PEM", help="of the certificate")
    group.add_argument("--insecure", action="store_true", help="let a host other than this machine go without")
    group.add_argument("--rate", type=float, metavar="N", help="requests a second of all clients (default: 500)")
    add_writing(parser)
    add_sparing(parser)
    add_limits(parser)
    add_mqtt(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import EngineError, TrustError
    from shoestring.cli import console

    if arguments.new_token is not None:
        return _new_token(arguments)
    settings = _settings(arguments)
    signalled = False
    with contextlib.ExitStack() as stack:
        bundle, watching = bundle_for(arguments, stack, wait=True)
        try:
            signalled = _serve(arguments, settings, bundle, watching, stack)
            if watching is not None:
                watching.ended()
        except (EngineError, TrustError) as error:
            if watching is None or not watching.blames(error):
                raise
    if watching is not None and watching.leaving is not None and not signalled:
        console.say(watching.leaving)
        begin_again()
    return 0


def _serve(
    arguments: argparse.Namespace, settings: Settings, bundle: Bundle, watching: Watching | None, stack: ExitStack
) -> bool:
    """Serve one bundle; returns whether a signal ended it."""
    from shoestring.cli import console
    from shoestring.cli.live_options import asked_of, mqtt_of, sparing_of
    from shoestring.cli.run_live import begins
    from shoestring.cli.trust_options import hold
    from shoestring.device.live.running import Running, chip_of
    from shoestring.device.serve import build_app, run_server
    from shoestring.device.service.beats import Beats
    from shoestring.device.service.notify import Heart, Notifier

    console.say(hold(bundle, arguments))
    of_text = serve_writer if bundle.manifest.generation is not None else serve_encoder
    if bundle.manifest.preprocess is None:
        return of_text(arguments, settings, bundle, watching, stack, partial(_started, arguments))
    asked = asked_of(arguments)
    stop = threading.Event()
    source = _source(arguments, bundle, stack)
    page = _page(arguments, bundle, source)
    heart = Heart(Notifier(os.environ), "http", "governor", *([] if source is None else ["frames"]))
    publishing = mqtt_of(arguments, bundle.manifest, page.trouble, stack)
    rate = source.rate if source is not None and source.live else None
    running = stack.enter_context(
        Running(
            bundle,
            asked,
            chip=chip_of(bundle, arguments.chip, arguments.chip_file),
            listeners=[page, Beats(heart), *publishing, *([] if watching is None else [watching])],
            journal=arguments.decisions,
            source_rate=rate,
        )
    )
    if watching is not None:
        watching.attach(lambda: running.engine.rungs)
    app = build_app(_service(bundle, running, page), settings)

    def ready(port: int) -> None:
        heart.ready()
        _started(arguments, settings, port)

    for warning in app.warnings:
        console.say(warning)
    console.say(begins(running))
    frames: Future[None] | None = None
    if source is not None:
        threads = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="frames"))
        stack.callback(stop.set)
        frames = threads.submit(running.run, source, sparing_of(arguments), stop, lambda: heart.beat("frames"))
        frames.add_done_callback(lambda done: _ended(done, page, heart))
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
    stop.set()
    if frames is not None:
        frames.result()
    return signalled


def _ended(frames: Future[None], page: Page, heart: Heart) -> None:
    """The source came to its end: well, then the page says so; else the server ends too."""
    if frames.exception() is None:
        heart.without("frames")
        page.trouble("source", "it has come to its end")
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _started(arguments: argparse.Namespace, settings: Settings, port: int) -> None:
    from shoestring.cli import console

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{settings.scheme}://{host}:{port}"
    if arguments.json:
        console.show_json({"address": address, "port": port})
    console.say(f"the page is at {address}/, figures at /metrics, help at /docs")


def _new_token(arguments: argparse.Namespace) -> int:
    from shoestring.cli import console
    from shoestring.device.serve import make_token

    token, line = make_token(arguments.new_token)
    if arguments.json:
        console.show_json({"token": token, "line": line})
    else:
        console.say("the token is shown this once; add the second line to the file of tokens")
        print(f"{token}\n{line}")
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    from shoestring.device.serve import Settings, check_settings, read_tokens

    rates = {} if arguments.rate is None else {"whole_rate": arguments.rate, "client_rate": arguments.rate}
    settings = Settings(
        host=arguments.host,
        port=arguments.port,
        names=tuple(arguments.name),
        tokens=read_tokens(arguments.tokens, os.environ),
        certificate=arguments.certificate,
        key=arguments.key,
        insecure=arguments.insecure,
        **rates,
    )
    check_settings(settings)
    return settings


def _source(arguments: argparse.Namespace, bundle: Bundle, stack: contextlib.ExitStack) -> Source | None:
    from shoestring.device.pipelines.sources import open_source
    from shoestring.device.pipelines.sources.opening import kind_of

    if arguments.source is None:
        return None
    # A page is looked at while it happens: a video file is played as a camera would show it.
    realtime = arguments.realtime or kind_of(arguments.source[0]) == "video"
    source = open_source(arguments.source, bundle.manifest.pixels, realtime=realtime)
    stack.callback(source.close)
    return source


def _page(arguments: argparse.Namespace, bundle: Bundle, source: Source | None) -> Page:
    from shoestring.base.addresses import without_password
    from shoestring.device.live.keeping import Page

    shown = None if source is None else ", ".join(without_password(name) for name in arguments.source)
    return Page(bundle.manifest.name, shown, None if source is None else source.rate)


def _service(bundle: Bundle, running: Running, page: Page) -> Service:
    from shoestring.device.answers import boxes_of
    from shoestring.device.serve import service_of
    from shoestring.heads import detect

    manifest = bundle.manifest
    spec, head, labels = manifest.pixels, manifest.head, manifest.labels
    size = (spec.height, spec.width)
    boxes = None if head is None else lambda flat, shown: boxes_of(detect(head, flat, size), labels, spec, shown)
    return service_of(
        manifest,
        running.governed,
        version=manifest.source_sha256[:12],
        live=page.state,
        boxes=boxes,
        ready=lambda: running.governed.ready,
    )
