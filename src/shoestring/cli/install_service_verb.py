"""Write a systemd unit that keeps a run, a server or an agent going, locked in: its own camera, memory and files.

The words after -- are those of `shoestring run`, `shoestring serve` or `shoestring agent`. Nothing is started.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.device.service.unit import Service

EXAMPLE = "shoestring install-service porch -- serve /srv/people.shoe --source /dev/video0"
FOLDER = Path("etc/systemd/system")
HIDDEN = ("/tmp", "/var/tmp")
"""Of which PrivateTmp= gives the service its own."""
HOMES = ("/home", "/root", "/run/user")
"""What ProtectHome= hides."""
SPARE_BYTES = 512 << 20
"""Of memory beside the engines: Python, decoded frames, the network."""
LOCAL = ("127.0.0.1", "::1", "[::1]", "localhost")


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the service: the unit is shoestring-NAME.service")
    parser.add_argument("words", nargs="+", metavar="-- run|serve|agent ...", help="to run; files by absolute paths")
    parser.add_argument("--user", metavar="USER", help="to run as (default: one made for it while it runs)")
    parser.add_argument("--memory-max", metavar="1GB", help="of all its processes (default: from the bundle)")
    parser.add_argument("--print", action="store_true", dest="shown", help="show the unit and write nothing")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="of the system to install into")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import disk
    from shoestring.cli import console
    from shoestring.device.service.unit import unit_text

    service = _service(arguments)
    text = unit_text(service)
    path = arguments.root / FOLDER / service.unit
    if not arguments.shown:
        disk.write_text(path, text)
    if arguments.json:
        console.show_json({"unit": service.unit, "path": None if arguments.shown else path, "text": text})
    elif arguments.shown:
        print(text, end="")
    else:
        console.say(
            f"{path} is written; start it with: systemctl daemon-reload && systemctl enable --now {service.unit}"
        )
    return 0


def _service(arguments: argparse.Namespace) -> Service:
    from shoestring.base.addresses import without_password
    from shoestring.base.errors import UsageError
    from shoestring.base.units import parse_bytes
    from shoestring.cli import console
    from shoestring.cli.main import build_parser
    from shoestring.cli.run_verb import settle
    from shoestring.device.pipelines.sources.opening import kind_of
    from shoestring.device.service.unit import Service

    words: Sequence[str] = arguments.words
    if words[0] == "agent":
        from shoestring.cli.install_agent import agent_service

        return agent_service(arguments, words)
    if words[0] not in ("run", "serve"):
        raise UsageError(f"a service runs `run`, `serve` or `agent`, not {words[0]!r}", hint=EXAMPLE)
    asked = build_parser(words[0]).parse_args(words)
    if words[0] == "run":
        settle(asked)
    if (asked.bundle is None) == (asked.slots is None):
        count = "no bundle was" if asked.bundle is None else "both a bundle and slots were"
        raise UsageError(f"{count} named", hint=EXAMPLE)
    sources = [str(name) for name in (asked.files if words[0] == "run" else asked.source or ())]
    for name in sources:
        if kind_of(name) == "stream" and without_password(name) != name:
            console.say("the source may hold a password: every user of the device will be able to read it in the unit")
    files = [value for value in vars(asked).values() if isinstance(value, Path)]
    kinds = {kind_of(name) for name in sources}
    files += [Path(name) for name in sources if kind_of(name) in ("images", "video")]
    program = Path(sys.executable)
    homes = check_files([*files, program], arguments.user)
    open_network = asked.mqtt is not None or "stream" in kinds
    if words[0] == "serve":
        network = "open" if open_network or asked.host not in LOCAL else "local"
    else:
        network = "open" if open_network else "none"
    return Service(
        name=arguments.name,
        command=(str(program), "-P", "-m", "shoestring.cli.main", *words),
        memory_bytes=memory_of(asked) if arguments.memory_max is None else parse_bytes(arguments.memory_max),
        user=arguments.user,
        camera="camera" in kinds,
        network=network,
        low_port=words[0] == "serve" and 0 < asked.port < 1024,
        homes=homes,
        writes=writes_of(asked, arguments.user),
    )


def memory_of(asked: argparse.Namespace) -> int:
    """Twice the dearest rung's, since the engines of both are there while a rung is changed; and the rest.

    Raises:
        UsageError: there is no bundle yet to tell it.
    """
    from shoestring.base.errors import UsageError
    from shoestring.bundle import open_bundle
    from shoestring.device.slots import Slots

    path = asked.bundle
    if path is None:
        active = Slots(asked.slots).active()
        if active is None:
            raise UsageError(
                f"{asked.slots} has no bundle yet, so nothing tells how much memory to allow", hint="--memory-max 1GB"
            )
        path = active.path
    with open_bundle(path) as bundle:
        engine = max(rung.candidate.cost.peak_rss_bytes or 0 for rung in bundle.manifest.ladder.rungs)
    return 2 * engine + SPARE_BYTES


def writes_of(asked: argparse.Namespace, user: str | None) -> tuple[str, ...]:
    """Directories that the service must write to. Raises UsageError where its own user could not."""
    from shoestring.base.errors import UsageError

    if asked.slots is None or not asked.slots.is_absolute():
        return ()
    if user is None:
        raise UsageError(
            f"the service's own user cannot write to {asked.slots}",
            hint="name a --user who can, or a relative path: it lies in the service's own directory then",
        )
    return (str(asked.slots),)


def check_files(files: Sequence[Path], user: str | None) -> bool:
    """Whether one of them lies in a home. Raises UsageError for what the service could not find or read."""
    from shoestring.base.errors import UsageError

    homes = False
    for path in files:
        if not path.is_absolute():
            if path.exists():
                raise UsageError(
                    f"{path} is a path from here, and the service starts elsewhere", hint=f"write {path.resolve()}"
                )
            continue  # to be written, into the service's own folder
        if any(path.is_relative_to(folder) for folder in HIDDEN):
            raise UsageError(f"{path} is in a folder that the service has an own one of", hint="move it, say to /srv")
        if any(path.is_relative_to(home) for home in HOMES):
            homes = True
            if user is None:
                raise UsageError(f"{path} is in a home, which the service's own user cannot read", hint="name a --user")
    return homes


__all__ = ["check_files", "fill", "memory_of", "run", "writes_of"]
