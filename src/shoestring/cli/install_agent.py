"""The unit of an agent: it talks to the fleet, writes to the slots that a server shares with it, and sees no camera."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from shoestring.device.service.unit import Service

EXAMPLE = (
    "shoestring install-service porch-agent --user shoe -- agent --slots /srv/porch --repository https://fleet.example "
    "--root /etc/shoestring/root.json --group porch"
)


def agent_service(arguments: argparse.Namespace, words: Sequence[str]) -> Service:
    """What is to run, and what it needs.

    Args:
        arguments: of `install-service`.
        words: of the command line of the agent, its verb first.

    Raises:
        UsageError: the words make no sense, or the service could not reach a file.
    """
    from shoestring.base.errors import UsageError
    from shoestring.base.units import parse_bytes
    from shoestring.cli.install_service_verb import check_files, memory_of, writes_of
    from shoestring.cli.main import build_parser
    from shoestring.device.service.unit import Service

    asked = build_parser("agent").parse_args(words)
    if asked.once or asked.show_id:
        raise UsageError("a service goes on; --once and --show-id end", hint=EXAMPLE)
    if None in (asked.repository, asked.root, asked.group):
        raise UsageError("an agent needs --repository, --root and --group", hint=EXAMPLE)
    if not asked.slots.is_absolute():
        raise UsageError(f"{asked.slots} is a path from here, and a server must reach it too", hint="write it from /")
    files = [value for value in vars(asked).values() if isinstance(value, Path)]
    remote = "://" in asked.repository
    if not remote:
        files.append(Path(asked.repository))
    program = Path(sys.executable)
    asked.bundle = None
    return Service(
        name=arguments.name,
        command=(str(program), "-P", "-m", "shoestring.cli.main", *words),
        # Golden sets are replayed under the limits that a server's engines have.
        memory_bytes=memory_of(asked) if arguments.memory_max is None else parse_bytes(arguments.memory_max),
        user=arguments.user,
        network="open" if remote or asked.report is not None else "none",
        homes=check_files([*files, program], arguments.user),
        writes=writes_of(asked, arguments.user),
    )


__all__ = ["agent_service"]
