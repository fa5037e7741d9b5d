"""Write a systemd unit that keeps a run or a server going, locked in: it may look at its camera and use its memory.

The words after -- are those of `shoestring run` or `shoestring serve`. Nothing is started.
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
    parser.add_argument("words", nargs="+", metavar="-- run|serve ...", help="what it runs; files by absolute paths")
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
    from shoestring.bundle import open_bundle
    from shoestring.cli import console
    from shoestring.cli.main import build_parser
    from shoestring.device.pipelines.sources.opening import kind_of
    from shoestring.device.service.unit import Service

    words: Sequence[str] = arguments.words
    if words[0] not in ("run", "serve"):
        raise UsageError(f"a service runs `run` or `serve`, not {words[0]!r}", hint=EXAMPLE)
    asked = build_parser(words[0]).parse_args(words)
    if asked.bundle is None:
        raise UsageError("no bundle was named", hint=EXAMPLE)
    sources = [str(name) for name in (asked.files if words[0] == "run" else asked.source or ())]
    for name in sources:
        if kind_of(name) == "stream" and without_password(name) != name:
            console.say("the source may hold a password: every user of the device will be able to read it in the unit")
    files = [value for value in vars(asked).values() if isinstance(value, Path)]
    kinds = {kind_of(name) for name in sources}
    files += [Path(name) for name in sources if kind_of(name) in ("images", "video")]
    program = Path(sys.executable)
    homes = _check_files([*files, program], arguments.user)
    with open_bundle(asked.bundle) as bundle:
        engine = max(rung.candidate.cost.peak_rss_bytes or 0 for rung in bundle.manifest.ladder.rungs)
    open_network = asked.mqtt is not None or "stream" in kinds
    if words[0] == "serve":
        network = "open" if open_network or asked.host not in LOCAL else "local"
    else:
        network = "open" if open_network else "none"
    return Service(
        name=arguments.name,
        command=(str(program), "-P", "-m", "shoestring.cli.main", *words),
        # While a rung is changed the engines of both are there.
        memory_bytes=2 * engine + SPARE_BYTES if arguments.memory_max is None else parse_bytes(arguments.memory_max),
        user=arguments.user,
        camera="camera" in kinds,
        network=network,
        low_port=words[0] == "serve" and 0 < asked.port < 1024,
        homes=homes,
    )


def _check_files(files: Sequence[Path], user: str | None) -> bool:
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


__all__ = ["fill", "run"]
