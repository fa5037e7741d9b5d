"""The workshop's side of a fleet: a signed repository of static files, roll-outs in waves, and reports of devices.

Any web server, or a stick, can carry the repository. Keys lie in another folder; nothing is ever sent anywhere.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.trust_options import add_passphrase

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = "shoestring fleet publish site camera.shoe --group porch --trusted trusted.toml"
PORT = 8500
COMMANDS = {
    "init": "make a repository and the keys that it lacks",
    "group": "make a group of devices, or change its waves and canaries",
    "publish": "authorise a bundle and let the first wave run it",
    "promote": "let the next wave run it, unless reports speak against it",
    "revoke": "take a bundle back: an older one runs again",
    "refresh": "sign anew what runs out; for cron",
    "status": "say who signs what, what runs where, and what to do next",
    "add-key": "let one more key sign for a role",
    "remove-key": "let a key no longer sign for a role",
    "collect": "take reports of devices and keep them",
}
EXAMPLES = {
    "init": "shoestring fleet init site --keys site-keys",
    "group": "shoestring fleet group site porch --waves 1,10,100",
    "publish": EXAMPLE,
    "promote": "shoestring fleet promote site --group porch --reports fleet.sqlite",
    "revoke": "shoestring fleet revoke site 1f0c3a9be2d4",
    "refresh": "shoestring fleet refresh site --prune",
    "status": "shoestring fleet status site --reports fleet.sqlite",
    "add-key": "shoestring fleet add-key site targets bea.key.pub --threshold 2",
    "remove-key": "shoestring fleet remove-key site rollout old.key.pub",
    "collect": "shoestring fleet collect --db fleet.sqlite --devices devices.txt",
}


def fill(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, words in COMMANDS.items():
        inner = commands.add_parser(
            name,
            help=words,
            description=f"{words[0].upper()}{words[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"example:\n  {EXAMPLES[name]}",
        )
        # Of the outer parser's --json no trace may be left by a default here.
        inner.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print data as JSON on stdout"
        )
        if name != "collect":
            _add_site(inner)
        _FILL[name](inner)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.fleet.extras import check_extras

    check_extras()
    code: int = importlib.import_module("shoestring.cli.fleet_commands").RUN[arguments.command](arguments)
    return code


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", type=Path, metavar="DIR", help="of the repository")
    parser.add_argument(
        "--keys",
        type=Path,
        action="append",
        metavar="DIR",
        help="with files of keys, NAME and NAME.pub; repeatable (default: beside the repository, DIR-keys)",
    )
    add_passphrase(parser)


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root-threshold", type=int, default=1, metavar="N", help="signatures that a root needs")
    parser.add_argument("--no-passphrase", action="store_true", help="keep new keys in the open")


def _group(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the group: a-z, 0-9 and -")
    parser.add_argument("--waves", metavar="1,10,100", help="per cents that run a release after each wave")
    parser.add_argument(
        "--canary",
        action="append",
        metavar="ID",
        help="device that goes first, in place of those named before; repeatable",
    )


def _publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--group", required=True, metavar="NAME")
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument("--trusted", type=Path, metavar="FILE", help="whose signatures the bundle must have")
    trust.add_argument("--allow-unsigned", action="store_true", help="publish it whoever signed it, or nobody")
    parser.add_argument("--chip", metavar="NAME", help="that it was made for (default: any)")
    parser.add_argument("--minimum-version", metavar="1.2.3", help="that can run it (default: the one that made it)")
    parser.add_argument("--deltas", type=int, default=3, metavar="N", help="from how many older bundles (default: 3)")


def _add_reports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reports", metavar="DB", help="file or postgresql:// address that `collect` writes to")
    parser.add_argument(
        "--max-errors",
        default="5%",
        metavar="5%",
        help="of the devices that may fail (default: 5%%), at 95%% confidence",
    )


def _promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--group", required=True, metavar="NAME")
    _add_reports(parser)
    parser.add_argument("--without-reports", action="store_true", help="ask nobody")


def _revoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="HASH", help="of the bundle, or its first 8 digits or more")
    parser.add_argument("--to", metavar="HASH", help="bundle to go back to (default: what the last wave runs)")


def _refresh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prune", action="store_true", help="remove files that nobody has referred to for a week")


def _add_role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "role",
        help="root, targets, snapshot, timestamp; GROUP.N for a wave, GROUP for all of them, rollout for all groups",
    )
    parser.add_argument("key", type=Path, metavar="PEM", help="file of the public key")
    parser.add_argument("--threshold", type=int, metavar="N", help="signatures that the role needs from now on")


def _collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--db", required=True, metavar="DB", help="file to keep reports in, or postgresql:// address")
    parser.add_argument("--devices", type=Path, metavar="FILE", help="ids that may report, one a line (default: all)")
    parser.add_argument(
        "--keep-days", type=int, default=90, metavar="N", help="until reports are forgotten (default: 90)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one (default: {PORT})")
    parser.add_argument("--name", action="append", default=[], metavar="HOST", help="that devices call this machine by")
    parser.add_argument("--tokens", type=Path, metavar="FILE", help="who may send, as of `serve`")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="for TLS")
    parser.add_argument("--key", type=Path, metavar="PEM", help="of the certificate")
    parser.add_argument("--insecure", action="store_true", help="let a host other than this machine go without")
    parser.add_argument("--mqtt", metavar="URL", help="broker to listen at too: mqtt://[user@]host, or mqtts://")
    parser.add_argument("--mqtt-password", type=Path, metavar="FILE", help="its first line is the password")
    parser.add_argument("--mqtt-ca", type=Path, metavar="PEM", help="certificates to trust (default: the system's)")


_FILL: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "init": _init,
    "group": _group,
    "publish": _publish,
    "promote": _promote,
    "revoke": _revoke,
    "refresh": _refresh,
    "status": _add_reports,
    "add-key": _add_role,
    "remove-key": _add_role,
    "collect": _collect,
}
